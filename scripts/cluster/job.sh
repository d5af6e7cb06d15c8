#!/usr/bin/env bash
# Run a command in an allocation: on each of its nodes, until it is done.
#
# Usage: job.sh --run-dir DIR --name NAME [--scheduler local|slurm|oar] [--nodes N] [--ranks N]
#               [--python PYTHON] [--script FILE] -- COMMAND...
#
# With one process the command is run as it is, with several by torchrun: --ranks on each of --nodes.
# --script is the file that was submitted; it is started on every node, so that all of them have the
# same environment. A command that leaves DIR/REQUEUE wants to be started again: the job is put into
# the queue again (local: the command is repeated). What becomes of it stands in DIR/logs/NAME.state.
#
# SIGUSR1, which schedulers send before the walltime's end, becomes the file DIR/STOP, at which the
# training saves and leaves, to be started again. A file STOP that somebody else makes has it save and
# leave for good, as SIGTERM (scancel) does without saving.
set -euo pipefail

scheduler=local nodes=1 ranks=1 run_dir='' name='' python=python3 script='' node_rank='' master=''
while (($#)); do
  case $1 in
    -h | --help) sed -n '2,18s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --scheduler | --nodes | --ranks | --run-dir | --name | --python | --script | --node-rank | --master)
      option=${1#--}
      printf -v "${option//-/_}" '%s' "${2?$1 needs a value}"
      shift 2
      ;;
    --) shift; break ;;
    *) printf 'job.sh: error: unknown argument %s (--help explains)\n' "$1" >&2; exit 2 ;;
  esac
done
command=("$@")
[[ -n $run_dir && -n $name && ${#command[@]} -gt 0 ]] ||
  { echo 'job.sh: error: --run-dir, --name and a command are needed (--help explains)' >&2; exit 2; }

# The time is bash's own: a program asked for it may be killed together with the job.
say() { printf '[job] %(%FT%T%z)T %s\n' -1 "$*" >&2; }

torchrun_command() { # NODE_RANK ADDRESS PORT
  command=(
    "$python" -m torch.distributed.run --nnodes "$nodes" --node-rank "$1" --nproc-per-node "$ranks"
    --master-addr "$2" --master-port "$3" --no-python -- "${command[@]}"
  )
}

# A node of several: this script was started by the one below on the first of them.
if [[ -n $node_rank ]]; then
  [[ $node_rank != slurm ]] || node_rank=$SLURM_NODEID
  torchrun_command "$node_rank" "${master%:*}" "${master##*:}"
  exec "${command[@]}"
fi

case $scheduler in
  slurm)
    mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
    job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    job=${job:-$SLURM_JOB_ID} number=$SLURM_JOB_ID
    [[ -z ${SLURM_CPUS_PER_TASK:-} ]] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
    ;;
  oar)
    mapfile -t hosts < <(awk '!seen[$0]++' "$OAR_NODEFILE")
    job=$OAR_JOB_ID number=$OAR_JOB_ID
    ;;
  *) hosts=("$HOSTNAME") job=$$ number=$$ ;;
esac

log_dir=$run_dir/logs
mkdir -p -- "$log_dir"
state() {
  printf '%s %(%s)T %s %s\n' "$1" -1 "$job" "${*:2}" >"$log_dir/.$name.state.$$"
  mv -f -- "$log_dir/.$name.state.$$" "$log_dir/$name.state"
}
failed() {
  state failed "$@"
  say "failed: $*"
}
((${#hosts[@]} >= nodes)) || { failed "${#hosts[@]} node(s) instead of $nodes"; exit 1; }

leaving='' asked='' children=()
# shellcheck disable=SC2317 # called by traps
stop_later() {
  if [[ $name == train ]]; then
    say "asked to stop: saving at the end of the step"
    asked=1
    : >"$run_dir/STOP"
  else
    say "the walltime ends soon; the same command goes on where it was"
  fi
}
# shellcheck disable=SC2317
stop_now() {
  leaving=$1
  ((${#children[@]} == 0)) || kill -TERM "${children[@]}" 2>/dev/null || true
}
trap stop_later USR1
trap 'stop_now 143' TERM
trap 'stop_now 130' INT

free_port() {
  "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
  local i remote address="${hosts[0]}:$((20000 + number % 20000))"
  children=()
  if ((nodes == 1)); then
    local saved=("${command[@]}")
    ((ranks == 1)) || torchrun_command 0 127.0.0.1 "$(free_port)"
    "${command[@]}" &
    children=("$!")
    command=("${saved[@]}")
  elif [[ $scheduler == slurm ]]; then
    srun --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --kill-on-bad-exit=1 \
      bash "$script" --node-rank slurm --master "$address" &
    children=("$!")
  else
    for ((i = 0; i < nodes; i++)); do
      # The other nodes know nothing of this job's variables, and ssh gives a shell one line.
      printf -v remote '%q ' env SELOSS_TASK="${SELOSS_TASK:-${OAR_ARRAY_INDEX:-1}}" \
        bash "$script" --node-rank "$i" --master "$address"
      oarsh "${hosts[i]}" "$remote" </dev/null &
      children+=("$!")
    done
  fi
}

reap() { # set status to a child's; a signal that comes while waiting has a status of its own
  local second=0
  status=0
  wait "$1" || status=$?
  if ((status > 128)) && ! kill -0 "$1" 2>/dev/null; then
    wait "$1" 2>/dev/null || second=$?
    ((second == 127)) || status=$second
  fi
}

# Wait for all children through trapped signals; when one fails the others cannot go on either.
wait_for_children() {
  local pid status result=0 left=("${children[@]}") alive
  while ((${#left[@]})); do
    if ((${#left[@]} == 1)); then
      reap "${left[0]}"
      ! kill -0 "${left[0]}" 2>/dev/null || continue # a signal came
      ((result)) || result=$status
      break
    fi
    alive=()
    for pid in "${left[@]}"; do
      if kill -0 "$pid" 2>/dev/null; then
        alive+=("$pid")
        continue
      fi
      reap "$pid"
      if ((status && !result)); then
        result=$status
        kill -TERM "${left[@]}" 2>/dev/null || true
      fi
    done
    left=(${alive[@]+"${alive[@]}"})
    sleep 1 || true
  done
  children=()
  return "$result"
}

again() { # put this job into the queue once more; comes back only for the local one
  trap 'exit 143' TERM # the state is what it is
  case $scheduler in
    slurm)
      scontrol requeue "$job" || { failed "scontrol requeue $job"; exit 1; }
      sleep 600 & # SLURM ends this script
      wait "$!"
      exit 1
      ;;
    oar) # which starts a job again that leaves with 99, if it ran for more than a minute
      ((SECONDS > 61)) || sleep $((62 - SECONDS))
      exit 99
      ;;
  esac
  trap 'stop_now 143' TERM
}

[[ $name != train ]] || rm -f -- "$run_dir/STOP" "$run_dir/REQUEUE"
while :; do
  state running "on ${hosts[*]:0:nodes}"
  say "job $job on ${hosts[*]:0:nodes}: $(printf '%q ' "${command[@]}")"
  status=0
  start
  wait_for_children || status=$?
  if [[ -n $leaving ]]; then
    state stopped "by a signal"
    exit "$leaving"
  elif [[ $name == train && -f $run_dir/REQUEUE ]] && ((status == 0 || status == 75)); then
    read -r step began <"$run_dir/REQUEUE"
    rm -f -- "$run_dir/REQUEUE"
    if ((step <= began)); then
      failed "no step was made between two stops: the walltime is too short"
      exit 1
    fi
    if [[ -z $asked ]]; then # somebody made the file STOP
      state stopped "after step $step, as $run_dir/STOP asked; the same command goes on"
      exit 75
    fi
    asked=''
    state requeued "after step $step"
    say "stopped after step $step; to be started again"
    again
  elif ((status)); then
    failed "status $status"
    exit "$status"
  else
    state finished
    exit 0
  fi
done
