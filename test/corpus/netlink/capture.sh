#!/bin/bash
# Records what iproute2 sends to the kernel and what the kernel answers, as hex.
# Run as root: bash test/corpus/netlink/capture.sh
# Writes requests.txt and dump-*.txt beside itself. Needs strace and iproute2.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
ns="nlts-corpus-$$"
trap 'ip netns del "$ns"' EXIT
ip netns add "$ns"

# strace's buffer dumps on stdin -> "> hex" per send, "< hex" per receive.
hex() {
  awk '
    function flush() { if (bytes != "") print mark " " bytes; bytes = "" }
    /^(sendmsg|sendto)\(/ { flush(); mark = ">"; next }
    /^(recvmsg|recvfrom)\(/ { flush(); mark = "<"; peek = /MSG_PEEK/; next }
    /^ [*] / { flush(); next }
    /^ [|] / { line = substr($0, 11, 48); gsub(/ /, "", line); if (mark == ">" || !peek) bytes = bytes line }
    END { flush() }'
}
trace() { # trace COMMAND...: its netlink traffic on stdout
  local out
  out=$(mktemp)
  ip netns exec "$ns" strace -o "$out" -s 0 -e trace=sendmsg,sendto,recvmsg,recvfrom \
    -e read=all -e write=all "$@" >/dev/null 2>&1 || true
  hex <"$out"
  rm -f "$out"
}
request() { # the last message sent is the command; what comes before looks names up
  echo "# $*"
  trace "$@" | grep '^>' | tail -n 1
}
dump() { # dump NAME COMMAND...: the answers, and what the command made of them
  local name=$1
  shift
  { echo "# $*"; trace "$@" | grep '^<'; } >"$here/dump-$name.txt"
  ip netns exec "$ns" "$@" >"$here/dump-$name.json"
}

{
  request ip link add name v0 mtu 1450 type veth peer name v1 address 02:00:00:00:00:01
  request ip link add name br0 type bridge ageing_time 30000 stp_state 0 vlan_filtering 1
  ip -n "$ns" link add name br0 type bridge
  request ip link add name vx0 type vxlan id 42 local 10.0.0.1 dev v0 ttl 64 nolearning dstport 4789
  request ip link add name vx6 type vxlan external local fd00::1 dstport 4790 gpe
  request ip link add link v0 name v0.7 type vlan protocol 802.1Q id 7
  request ip link add link v0 name mv0 type macvlan mode bridge
  request ip link add name d0 type dummy
  request ip link set dev v0 up mtu 1400
  request ip link set dev v1 master br0
  request ip link set dev v1 type bridge_slave hairpin on isolated on
  request ip link set dev v0 alias "to the pod"
  request ip link delete dev mv0
  ip -n "$ns" link set dev v1 up
  request ip address add 10.0.0.1/24 dev v0
  request ip address add fd00::1/64 dev v0 nodad noprefixroute
  request ip address add 10.9.0.1 peer 10.9.0.2/32 dev v0 scope link
  request ip address delete 10.9.0.1 peer 10.9.0.2/32 dev v0
  request ip route add 10.1.0.0/24 via 10.0.0.2 dev v0 proto 99 onlink
  request ip route add 10.1.1.0/24 dev v0
  request ip route add blackhole 10.2.0.0/16
  request ip route add 10.3.0.0/24 nexthop via 10.0.0.2 dev v0 weight 2 nexthop via 10.0.0.3 dev v0 onlink
  request ip route replace default via 10.0.0.2 mtu 1400
  request ip -6 route add fd01::/64 via fd00::2 dev v0 metric 50
  request ip route add 10.4.0.0/24 via inet6 fd00::2 dev v0
  request ip route add 10.5.0.0/24 dev v0 table 1000 src 10.0.0.1
  request ip route delete 10.1.0.0/24
  ip -n "$ns" route add 10.1.0.0/24 via 10.0.0.2 dev v0 proto 99 onlink
  request ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev v0 nud permanent
  request ip neigh add fd00::9 lladdr 02:00:00:00:00:09 dev v0 protocol 99
  request bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.5
  request bridge fdb replace 02:00:00:00:00:0a dev vx0 dst 10.0.0.6 port 8472 vni 7 via v0
  request bridge fdb add 02:00:00:00:00:0b dev v1 master static
  request bridge fdb delete 02:00:00:00:00:0a dev vx0 dst 10.0.0.6
  request ip route add 10.6.0.0/24 encap ip id 100 dst 192.0.2.7 src 192.0.2.1 ttl 9 tos 4 csum dev vx0
  request ip -6 route add fd06::/64 encap ip6 id 16777215 dst 2001:db8::7 hoplimit 3 dev vx0
  request ip nexthop add id 1 via 10.0.0.2 dev v0
  request ip nexthop add id 10 group 1,3/2
  request ip rule add priority 10 from 10.0.0.0/8 to 192.0.2.0/24 iif v0 fwmark 0x10/0xf0 table 1000 protocol 84
  request ip rule add priority 11 not ipproto tcp sport 1000-2000 dport 80 table 7 suppress_prefixlength 0
  request ip rule delete priority 10
  request bridge vlan add dev v1 vid 10 pvid untagged
  request bridge vlan add dev v1 vid 20-29 master
  request bridge vlan del dev br0 vid 30 self
  request bridge vni add vni 200-209 dev vx0
  request bridge vni delete vni 300 remote 192.0.2.7 dev vx0
  request tc qdisc add dev v0 clsact
} >"$here/requests.txt"

ip -n "$ns" link add name vx9 type vxlan id 9 local 10.0.0.1 remote 10.0.0.9 dev v0 dstport 4789 ttl 7
dump link ip -d -j link show
dump addr ip -j address show
dump route4 ip -4 -j -N -d route show table all
dump route6 ip -6 -j -N -d route show table all
dump neigh ip -j neigh show
dump fdb bridge -j fdb show
