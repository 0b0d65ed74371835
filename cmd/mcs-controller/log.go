package main

import (
	"io"
	"log/slog"

	"k8s.io/klog/v2"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// newLog makes the program's log, to which that of client-go also goes.
func newLog(w io.Writer, opts *options) *slog.Logger {
	level := slog.LevelInfo
	if opts.verbosity > 0 {
		level = slog.LevelDebug
	}
	handlerOptions := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(w, handlerOptions)
	if opts.logFormat == "json" {
		handler = slog.NewJSONHandler(w, handlerOptions)
	}
	log := slog.New(excerpt.NewHandler(handler))
	// Go's own HTTP client reports what servers send unasked to the standard log.
	slog.SetDefault(log.With("logger", "net/http"))
	klog.SetSlogLogger(log.With("logger", "client-go"))
	return log
}
