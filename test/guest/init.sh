#!/bin/busybox sh
# The guest's first process: the host's files under a layer of its own memory,
# the shared folder writable, then the command, its output and its exit status
# over serial ports. /settings and /command are the runner's (machine.ts).
PATH=/bin
bb=/bin/busybox

fail() {
  echo "guest: $*" >/dev/console
  $bb sleep 1
  $bb poweroff -f
}

# Device of the serial port with this name; the kernel numbers them as they come.
port() {
  tries=0
  while [ $tries -lt 600 ]; do
    for each in /sys/class/virtio-ports/*; do
      [ "$($bb cat "$each/name" 2>/dev/null)" = "$1" ] && [ -e "/dev/${each##*/}" ] &&
        echo "/dev/${each##*/}" && return
    done
    tries=$((tries + 1))
    $bb usleep 50000
  done
  fail "there is no port $1"
}

if [ "$1" != inside ]; then
  $bb mount -t proc proc /proc
  $bb mount -t sysfs sysfs /sys
  $bb mount -t devtmpfs dev /dev
  while read -r module; do
    $bb insmod "$module" || fail "the kernel does not take $module"
  done </modules/order
  . /settings
  $bb mount -t virtiofs host /host || fail "the host's files do not come"
  $bb mount -t tmpfs -o size=75% scratch /scratch
  $bb mkdir /scratch/upper /scratch/work
  $bb mount -t overlay -o lowerdir=/host,upperdir=/scratch/upper,workdir=/scratch/work overlay /merged ||
    fail "no layer over the host's files"
  $bb mount --bind "/host$SHARED" "/merged$SHARED" || fail "the host has no folder $SHARED"
  $bb mount -o remount,ro,bind /host
  for each in proc sys dev; do $bb mount --move /$each /merged/$each; done
  $bb mount -t tmpfs -o mode=755 run /merged/run
  $bb mkdir -p /merged/run/guest /merged/run/lock /merged/run/netns "/merged/lib/modules/$RELEASE"
  [ "$MODULES" = "/lib/modules/$RELEASE" ] ||
    $bb mount --bind "/host$MODULES" "/merged/lib/modules/$RELEASE"
  $bb cp /bin/busybox /init /settings /command /merged/run/guest
  exec $bb switch_root /merged /run/guest/busybox sh /run/guest/init inside
fi

bb=/run/guest/busybox
. /run/guest/settings
$bb mkdir -p /dev/pts /dev/shm /dev/net
$bb mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
$bb mount -t tmpfs -o mode=1777 shm /dev/shm
[ -e /dev/net/tun ] || $bb mknod -m 666 /dev/net/tun c 10 200
$bb ln -sf /proc/self/fd /dev/fd
$bb ln -sf /proc/self/fd/0 /dev/stdin
$bb ln -sf /proc/self/fd/1 /dev/stdout
$bb ln -sf /proc/self/fd/2 /dev/stderr
$bb mount -t cgroup2 cgroup /sys/fs/cgroup
$bb mount -t bpf bpf /sys/fs/bpf
$bb hostname guest
$bb ip link set lo up

output=$(port output) errors=$(port errors) control=$(port control)
exec 9<>"$control"
# A runner that was killed leaves nothing behind: without it a write waits, and a read ends.
$bb timeout 60 $bb sh -c 'echo up >&9' || $bb poweroff -f
{ $bb cat <&9 >/dev/null; $bb poweroff -f; } &
# Pipes, because a port opens only once, and programs open /dev/stdout again.
$bb mkfifo /run/guest/output /run/guest/errors
$bb cat /run/guest/output >"$output" 9>&- &
copies=$!
$bb cat /run/guest/errors >"$errors" 9>&- &
copies="$copies $!"
$bb env -i /bin/sh /run/guest/command </dev/null >/run/guest/output 2>/run/guest/errors 9>&-
status=$?
# What it left running holds the pipes open, too: two seconds for its last words.
tries=0
for copy in $copies; do
  while $bb kill -0 $copy 2>/dev/null && [ $tries -lt 100 ]; do
    tries=$((tries + 1))
    $bb usleep 20000
  done
done
echo "exit $status" >&9
$bb sleep 60
$bb poweroff -f
