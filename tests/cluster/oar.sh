#!/usr/bin/env bash
# An OAR for tests: oar.sh FOLDER NODES CPUS GPUS [PATH...], as the first process of its own network, mount, host
# name and process namespaces (schedulers.py). Everything is gone when this process is killed.
#
# It is the packages' OAR with private copies of /etc/oar, /var/lib/oar, /run and the files that say who and
# where: a PostgreSQL, a server, and on each node a secure shell daemon with the node's name. Only an
# ordinary user may submit: alice. She is let to each PATH, also where it lies in root's home.
set -euo pipefail
folder=$1 nodes=$2 cpus=$3 gpus=$4
shift 4
mount --make-rprivate /
ip link set lo up
ip addr add 10.88.0.1/32 dev lo # see slurm.sh
hostname frontend
mkdir -p "$folder"/{etc,home/alice,log}
chmod 0755 "$folder" "$folder"/*

{
  echo "127.0.0.1 localhost frontend"
  for ((i = 1; i <= nodes; i++)); do echo "127.66.0.$i n$i"; done
} >"$folder/etc/hosts"
cp -a /etc/passwd /etc/shadow /etc/group "$folder/etc/"
echo "alice:x:5001:5001::$folder/home/alice:/bin/bash" >>"$folder/etc/passwd"
echo "alice:*:19000:0:99999:7:::" >>"$folder/etc/shadow"
echo "alice:x:5001:" >>"$folder/etc/group"
sed -i 's/^oar:[^:]*:/oar:*:/' "$folder/etc/shadow" # sshd refuses a locked account
for file in hosts passwd shadow group; do mount --bind "$folder/etc/$file" "/etc/$file"; done
cp -a /etc/oar "$folder/etc/oar"
mount --bind "$folder/etc/oar" /etc/oar
cp -a /var/lib/oar "$folder/varlib"
mount --bind "$folder/varlib" /var/lib/oar
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/sshd
install -d -o postgres -g postgres /run/postgresql
install -d -o oar -g oar /run/oar
: >"$folder/home/alice/.bashrc"
chown -R 5001:5001 "$folder/home/alice"

for path in "$@"; do # first keep a hold of all of them
  mkdir -p "$folder/paths$path"
  mount --bind "$path" "$folder/paths$path"
done
for path in "$@"; do # then put an open folder over the first closed one above each
  above=''
  IFS=/ read -r -a parts <<<"${path#/}"
  for part in "${parts[@]}"; do
    above+=/$part
    [[ -d $above ]] || break
    (($(stat -c %a "$above") % 2)) || { mount -t tmpfs -o mode=0755 tmpfs "$above"; }
  done
  [[ -d $path && -n $(ls -A "$path") ]] && continue
  mkdir -p "$path"
  mount --bind "$folder/paths$path" "$path"
done

binaries=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
install -d -o postgres -g postgres -m 0700 "$folder/database"
runuser -u postgres -- "$binaries/initdb" -D "$folder/database" -A trust -E UTF8 --locale=C --no-sync \
  >"$folder/log/initdb.log"
runuser -u postgres -- "$binaries/pg_ctl" start -w -D "$folder/database" -l "$folder/database/log" \
  -o "-h 127.0.0.1 -p 5432 -c fsync=off -c shared_buffers=16MB" >"$folder/log/postgres.log"

touch "$folder/log/oar.log"
chown oar "$folder/log/oar.log"
set_option() { sed -i "s|^#*$1=.*|$1=\"$2\"|" /etc/oar/oar.conf; }
set_option DB_BASE_PASSWD oar
set_option DB_BASE_PASSWD_RO oar_ro
set_option LOG_FILE "$folder/log/oar.log"
set_option LOG_LEVEL 3
set_option SCHEDULER_JOB_SECURITY_TIME 5
set_option OARSUB_DEFAULT_RESOURCES /core=1
set_option JOB_RESOURCE_MANAGER_FILE /etc/oar/job_resource_manager.pl # the one without cpusets
sed -i 's/^CPUSET_PATH/#&/' /etc/oar/oar.conf
oar-database --create --db-is-local -y >"$folder/log/database.log" 2>&1

for ((i = 1; i <= nodes; i++)); do
  {
    echo "ListenAddress 127.66.0.$i"
    sed '/UsePrivilegeSeparation/d; /XAuthLocation/d; /KeepAlive yes/d' /etc/oar/sshd_config
  } >"$folder/etc/sshd_n$i"
  # The inner shell's own arguments, which this one must not replace.
  # shellcheck disable=SC2016
  unshare --uts sh -c 'hostname "$1" && exec /usr/sbin/sshd -f "$2" -o "PidFile=/run/sshd_$1.pid" -E "$3"' \
    - "n$i" "$folder/etc/sshd_n$i" "$folder/log/sshd_n$i.log"
done
setsid /usr/sbin/Almighty >"$folder/log/almighty.log" 2>&1 &
for name in core cpu gpu gpudevice; do oarproperty -a "$name" >/dev/null; done
for name in cluster gpu_model host; do oarproperty -c -a "$name" >/dev/null; done
for ((i = 1; i <= nodes; i++)); do
  for ((core = 0; core < cpus; core++)); do
    device=$((core * gpus / cpus))
    oarnodesetting -a -h "n$i" -p host="n$i" -p cpu="$i" -p core="$(((i - 1) * cpus + core + 1))" \
      -p cpuset="$core" -p gpu="$(((i - 1) * gpus + device + 1))" -p gpudevice="$device" \
      -p cluster=test -p gpu_model=H200 >/dev/null
  done
done
echo ready >"$folder/ready"
while :; do
  sleep 600 & # as the namespace's first process, this shell reaps the others
  wait "$!"
done
