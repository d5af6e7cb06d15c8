#!/usr/bin/env bash
# A SLURM for tests: slurm.sh FOLDER NODES CPUS GPUS, as the first process of its own network, mount,
# host name and process namespaces (schedulers.py). Everything is gone when this process is killed.
#
# The nodes n1, n2 ... are daemons on loopback addresses, each with a host name of its own: torch and
# Lightning ask for names and must get answers. Jobs started anew wait cred_expire + 1 s.
set -euo pipefail
folder=$1 nodes=$2 cpus=$3 gpus=$4
mount --make-rprivate /
ip link set lo up
# With loopback addresses alone getaddrinfo(AI_ADDRCONFIG) finds no address family at all.
ip addr add 10.88.0.1/32 dev lo
hostname frontend
mkdir -p "$folder"/{etc,state,spool,log,run,gpus,munge}
chmod 0755 "$folder" "$folder"/*

{
  echo "127.0.0.1 localhost frontend"
  for ((i = 1; i <= nodes; i++)); do echo "127.66.0.$i n$i"; done
} >"$folder/etc/hosts"
mount --bind "$folder/etc/hosts" /etc/hosts

for ((i = 0; i < gpus; i++)); do mknod "$folder/gpus/card$i" c 1 3; done
((gpus == 0)) || echo "Name=gpu File=$folder/gpus/card[0-$((gpus - 1))]" >"$folder/etc/gres.conf"
echo "CgroupPlugin=cgroup/v1" >"$folder/etc/cgroup.conf"
: >"$folder/etc/plugstack.conf"
{
  cat <<EOF
ClusterName=selosstest
SlurmctldHost=frontend(127.0.0.1)
SlurmctldPort=7001
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
SlurmdParameters=config_overrides
PlugStackConfig=$folder/etc/plugstack.conf
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=5
MinJobAge=600
InactiveLimit=0
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
GresTypes=gpu
EOF
  for ((i = 1; i <= nodes; i++)); do
    echo "NodeName=n$i NodeHostname=frontend NodeAddr=127.66.0.$i Port=$((7001 + i)) CPUs=$cpus" \
      "RealMemory=8000$( ((gpus == 0)) || echo " Gres=gpu:$gpus")"
  done
  echo "PartitionName=main Nodes=ALL Default=YES DefaultTime=10 MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF"
  echo "PartitionName=besteffort Nodes=ALL MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=0"
} >"$folder/etc/slurm.conf"

export SLURM_CONF=$folder/etc/slurm.conf
(umask 077 && head -c 256 /dev/urandom >"$folder/munge/key")
munged --force --num-threads=1 --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
  --pid-file="$folder/run/munged.pid" --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed"
slurmctld -c -f "$SLURM_CONF"
for ((i = 1; i <= nodes; i++)); do
  # The inner shell's own arguments, which this one must not replace.
  # shellcheck disable=SC2016
  unshare --mount --uts sh -c 'hostname "$1" && exec slurmd -N "$1" -f "$2"' - "n$i" "$SLURM_CONF"
done
for ((try = 0; try < 200; try++)); do
  [[ $(sinfo -h -p main -o '%t %D') != "idle $nodes" ]] || break
  sleep 0.1
done
sinfo -h -p main -o '%t %D' >"$folder/ready"
while :; do
  sleep 600 & # as the namespace's first process, this shell reaps the others
  wait "$!"
done
