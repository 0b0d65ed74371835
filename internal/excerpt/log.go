package excerpt

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Budgets of a log. What one member or one library causes is bounded in lines, and each of them in bytes.
const (
	// Value is the length of one attribute, in bytes; an error may join several of [Line].
	Value = 4 << 10
	// Burst is the number of lines that one source writes at once, and PerSecond how many it gets back each second.
	Burst     = 300
	PerSecond = 2
	// Share is the part of it that lines have of which one other member is a cause: one in so many.
	Share = 10
)

// Causes is the attribute that names members, as []string, which may be the cause of a line besides its source.
const Causes = "exporters"

// sources are the attributes that name who causes a line.
var sources = []string{"cluster", "logger"}

// NewHandler returns a handler of log records that hands excerpts of their texts to next. Lines of one member (attribute
// "cluster") or one library ("logger") beyond the budget are left out, unless they are for debugging; the next one that is
// written has their number. So are lines of a member beyond the share of one of their [Causes], so that one that makes another's
// objects fail does not take all of that one's lines.
func NewHandler(next slog.Handler) slog.Handler {
	return &handler{next: next, meters: &meters{of: map[string]*meter{}}}
}

type handler struct {
	next   slog.Handler
	meters *meters
	source string // from attributes that were given before
	group  bool   // attributes that come now are of a group
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, Of(r.Message, Value), r.PC)
	source := h.source
	var causes []string
	r.Attrs(func(a slog.Attr) bool {
		if of, ok := a.Value.Any().([]string); ok && a.Key == Causes {
			causes = of
		}
		a = attribute(a)
		if source == "" && !h.group {
			source = sourceOf(a)
		}
		out.AddAttrs(a)
		return true
	})
	if source != "" && r.Level >= slog.LevelInfo { // who asks for more gets all of it
		ok, omitted := h.meters.allow(source, causes, r.Time)
		if !ok {
			return nil
		}
		if omitted > 0 {
			out.AddAttrs(slog.Int("linesLeftOut", omitted))
		}
	}
	return h.next.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	attrs = slices.Clone(attrs)
	next := *h
	for i := range attrs {
		attrs[i] = attribute(attrs[i])
		if next.source == "" && !h.group {
			next.source = sourceOf(attrs[i])
		}
	}
	next.next = h.next.WithAttrs(attrs)
	return &next
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	next.next, next.group = h.next.WithGroup(name), true
	return &next
}

func sourceOf(a slog.Attr) string {
	if slices.Contains(sources, a.Key) {
		return a.Key + "=" + a.Value.String()
	}
	return ""
}

// attribute returns an attribute whose texts are excerpts.
func attribute(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(Of(v.String(), Value))
	case slog.KindGroup:
		group := slices.Clone(v.Group())
		for i := range group {
			group[i] = attribute(group[i])
		}
		v = slog.GroupValue(group...)
	case slog.KindAny:
		text := ""
		if err, ok := v.Any().(error); ok {
			text = err.Error()
		} else {
			text = fmt.Sprintf("%+v", v.Any())
		}
		if short := Of(text, Value); short != text {
			v = slog.StringValue(short)
		}
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// meters are the budgets of all sources, and of each source's causes.
type meters struct {
	mu   sync.Mutex
	of   map[string]*meter
	many int // at so many, those that have their whole budget are forgotten; 0 for manyMeters
}

// meter is the budget of one source.
type meter struct {
	limit   *rate.Limiter
	omitted int
}

// manyMeters is when meters that have their whole budget are forgotten for the first time. There is one for each source, and one for each
// pair of a source and a cause of its lines: 200 members, each of which has 50 others for causes.
const manyMeters = 10_000

// allow reports whether a source may write a line at a time, for some causes, and how many it could not write before. A line that
// the share of one cause stops takes nothing of the others, nor of the source.
func (m *meters) allow(source string, causes []string, now time.Time) (ok bool, omitted int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now) // before any meter is got, since one that was just got may have its whole budget
	all := m.get(source, Burst, PerSecond)
	of := make([]*meter, 0, len(causes)+1)
	for _, cause := range causes {
		of = append(of, m.get(source+" "+Causes+"="+cause, Burst/Share, rate.Limit(PerSecond)/Share))
	}
	for _, meter := range append(of, all) {
		if meter.limit.TokensAt(now) < 1 {
			all.omitted++
			return false, 0
		}
	}
	for _, meter := range append(of, all) {
		meter.limit.AllowN(now, 1)
	}
	omitted, all.omitted = all.omitted, 0
	return true, omitted
}

// forget drops meters that have their whole budget, if there are many. The next time is when there are twice as many as were left, so
// that no line pays for a walk over meters which are in use. m.mu is held.
func (m *meters) forget(now time.Time) {
	if len(m.of) < max(m.many, manyMeters) {
		return
	}
	maps.DeleteFunc(m.of, func(_ string, o *meter) bool { return o.limit.TokensAt(now) >= float64(o.limit.Burst()) })
	m.many = 2 * len(m.of)
}

// get returns the meter of a source. m.mu is held.
func (m *meters) get(source string, burst int, perSecond rate.Limit) *meter {
	of := m.of[source]
	if of == nil {
		of = &meter{limit: rate.NewLimiter(perSecond, burst)}
		m.of[source] = of
	}
	return of
}
