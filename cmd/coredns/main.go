package main

import (
	_ "github.com/coredns/coredns/core/plugin"
	"github.com/coredns/coredns/coremain"
	_ "k8s.io/client-go/kubernetes"
	_ "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	_ "github.com/miekg/dns"
	_ "github.com/coredns/caddy"
)

func main() { coremain.Run() }
