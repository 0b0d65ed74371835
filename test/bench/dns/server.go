package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/clusterset/multicluster/test/programs"
)

// contender is a CoreDNS with a configuration.
type contender struct {
	name    string
	program string
	block   string // the plugins of its server block
}

// contenders builds what is measured: the floor, stock CoreDNS, and ours.
func contenders(ctx context.Context, kubeconfig, dir string) (floor, stock, ours contender, err error) {
	stockProgram := filepath.Join(dir, "coredns-stock")
	root, err := programs.Root(ctx)
	if err != nil {
		return floor, stock, ours, err
	}
	fmt.Fprintln(os.Stderr, "building stock CoreDNS and ours")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", stockProgram, "github.com/coredns/coredns")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return floor, stock, ours, fmt.Errorf("building stock CoreDNS: %w: %s", err, out)
	}
	built, err := programs.Build(ctx, os.Stderr, "cmd/coredns")
	if err != nil {
		return floor, stock, ours, err
	}
	floor = contender{"floor", stockProgram, "erratic {\n drop 0\n }"}
	stock = contender{"stock", stockProgram, "kubernetes clusterset.local {\n kubeconfig " + kubeconfig + "\n multicluster clusterset.local\n }"}
	ours = contender{"ours", built[0], "multicluster clusterset.local {\n kubeconfig " + kubeconfig + "\n }"}
	return floor, stock, ours, nil
}

// server is a running contender.
type server struct {
	contender
	process *programs.Process
	addr    string
	pprof   string // address of its profiles, if it has them
	began   time.Time
}

// start runs a contender. With profiles it can be asked for its live heap, which takes a second server block.
func (c contender) start(dir string, profiles bool) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{contender: c, addr: fmt.Sprintf("127.0.0.1:%d", port)}
	corefile := fmt.Sprintf(".:%d {\n bind 127.0.0.1\n %s\n}\n", port, c.block)
	if profiles {
		ports := [2]int{}
		for i := range ports {
			if ports[i], err = freePort(); err != nil {
				return nil, err
			}
		}
		s.pprof = fmt.Sprintf("127.0.0.1:%d", ports[0])
		corefile += fmt.Sprintf(".:%d {\n bind 127.0.0.1\n pprof %s\n}\n", ports[1], s.pprof)
	}
	path := filepath.Join(dir, fmt.Sprintf("Corefile-%d", port))
	if err := os.WriteFile(path, []byte(corefile), 0o600); err != nil {
		return nil, err
	}
	s.began = time.Now()
	if s.process, err = programs.Start(c.program, "-conf", path); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *server) stop() { s.process.Kill() }

// freePort returns a port of the loopback address that is free for UDP and TCP.
func freePort() (int, error) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		p, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		l.Close()
		if err == nil {
			p.Close()
			return port, nil
		}
	}
	return 0, errors.New("no port is free for both UDP and TCP")
}

var heapAlloc = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// liveHeap returns what is on the server's heap after a garbage collection, in octets.
func (s *server) liveHeap() (int, error) {
	reply, err := http.Get("http://" + s.pprof + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return 0, err
	}
	match := heapAlloc.FindSubmatch(body)
	if match == nil {
		return 0, fmt.Errorf("no HeapAlloc in the profile of %s", s.name)
	}
	return strconv.Atoi(string(match[1]))
}
