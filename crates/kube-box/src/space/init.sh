# The first process of a node: makes the node's file systems and network, and stays. When it ends, the kernel ends every
# other process of the node and takes back all that is made here.
set -e
state=$1 address=$2 clients=$3
# What is mounted here is seen by the node alone.
mount --make-rprivate /
mount -t proc proc /proc
# What the node's programs write below /var and /run goes to the site's folder and into memory.
mkdir -p "$state/var" "$state/var-work" "$state/sysctl"
# Nobody answers questions for names here, and who asks shall be told so at once. It may lead into /run, so it comes first.
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$state/resolv.conf"
if [ -e /etc/resolv.conf ]; then mount --bind "$state/resolv.conf" /etc/resolv.conf; fi
mount -t overlay overlay -o "lowerdir=/var,upperdir=$state/var,workdir=$state/var-work" /var
mount -t tmpfs tmpfs /run
# The kubelet sets these for the whole machine, unless they are so already: to the kubelet they are.
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
    path=${setting%=*}
    file=$state/sysctl/${path##*/}
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "/proc/sys/$path"
done
mount --make-rshared /
ip link set lo up
ip link add node0 type bridge
ip addr add "$address/24" dev node0
ip link set node0 up
# Services have addresses of no network; without a route nothing would be sent to them.
ip route add default dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward
# Clients come from outside the node, as to a real one. When Kubernetes refuses a connection that the node itself begins to a
# NodePort, the kernel remembers it for two minutes as one that goes nowhere, and the next from that port is lost.
ip netns add clients
ip link add clients0 type veth peer name eth0 netns clients
ip link set clients0 master node0 up
ip -n clients link set lo up
ip -n clients addr add "$clients/24" dev eth0
ip -n clients link set eth0 up
echo ready >"$state/ready"
trap '' TERM INT
# A shell that waits collects what its children leave behind.
while :; do
    sleep infinity &
    wait
done
