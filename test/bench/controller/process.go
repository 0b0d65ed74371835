package main

import (
	"strconv"

	"github.com/clusterset/multicluster/test/programs"
)

// startController runs the controller's program over both clusters.
func (b *bench) startController() (err error) {
	args := []string{"--workers", strconv.Itoa(b.workers)}
	for _, m := range []*member{b.provider, b.consumer} {
		args = append(args, "--cluster", m.Name()+"="+m.Kubeconfig())
	}
	b.controller, err = programs.Start(b.program, args...)
	return err
}

// memory prints how much the controller has.
func (b *bench) memory(when string) error {
	rss, _, err := b.controller.Memory()
	if err != nil {
		return err
	}
	row(when, "RSS %d MiB (to reach: 150)", rss>>20)
	return nil
}
