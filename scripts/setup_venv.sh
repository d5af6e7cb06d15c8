#!/usr/bin/env bash
# Create a virtual environment and install the pinned requirements, unless that has been done.
#
# Usage: [PYTHON=python3.12] bash scripts/setup_venv.sh [FOLDER]
#
# FOLDER defaults to .venv. PYTHON chooses the interpreter (3.10 to 3.13); an environment made with
# another one is made anew. Nothing is installed again until a requirement changes.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

venv=${1:-.venv}
case $venv in -h | --help)
  sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 0
  ;;
esac

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
supported() { [[ $1 =~ ^3\.1[0-3]$ ]]; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" ${PYTHON:+none} python3.13 python3.12 python3.11 python3.10; do
    [[ $candidate != none ]] || break
    if supported "$(version_of "$candidate")"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  echo "setup: no suitable Python: expected 3.10 to 3.13, ${PYTHON:-python3} is" \
    "'$(version_of "${PYTHON:-python3}")'. Install one and name it: PYTHON=python3.12 make ..." >&2
  return 1
}

have=$(version_of "$venv/bin/python")
if ! supported "$have" || [[ -n ${PYTHON:-} && $(version_of "$PYTHON") != "$have" ]]; then
  python=$(find_python)
  echo "setup: making $venv with Python $(version_of "$python")"
  "$python" -m venv --clear "$venv"
fi

# What the installation depends on: when this is as it was, there is nothing to do.
digest=$(cat requirements.txt pyproject.toml \
  external_repo/asteroid/assembly/*.py | sha256sum)
stamp=$venv/.installed
[[ ! -f $stamp || $(<"$stamp") != "$digest" ]] || exit 0

echo "setup: installing the pinned requirements into $venv (some minutes, once)"
# Modules are compiled when they are first imported: most of these packages' never are.
install=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-compile)
"${install[@]}" --requirement <(grep -v '^pesq==' requirements.txt)
pesq=$(grep '^pesq==' requirements.txt || true)
[[ -z $pesq ]] || "${install[@]}" "$pesq" ||
  echo "setup: pesq needs a C compiler (Debian: apt install gcc); everything but PESQ and the" \
    "composite measures works without it" >&2
"${install[@]}" --editable '.[recognition]' ||
  echo "setup: the better speech recogniser does not install here (see pyproject.toml); " \
    "evaluation.recognise --recogniser pocketsphinx works without it" >&2
"$venv/bin/python" -m pip check --disable-pip-version-check
printf '%s\n' "$digest" >"$stamp"
