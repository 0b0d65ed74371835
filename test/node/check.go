package node

import "github.com/clusterset/multicluster/test/need"

// Check returns nil if this machine can have networks, otherwise one line that says what is missing.
func Check() error { return need.Packets.Check() }
