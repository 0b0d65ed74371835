package programs

import "sync"

// A Tail keeps the end of what is written to it, in memory: a log file would outlive a killed test.
type Tail struct {
	mu   sync.Mutex
	text []byte
}

// NewTail returns one for the last 256 KiB at least.
func NewTail() *Tail { return new(Tail) }

const tailSize = 256 << 10

// Write never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > 2*tailSize { // seldom, since it copies
		t.text = append(t.text[:0], t.text[len(t.text)-tailSize:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
