package kubeclient

import "encoding/binary"

// This file looks at the shape of an answer before it is decoded: three bytes of JSON, or two of protobuf, can make an object
// of a kilobyte.

// dense is how many bytes of JSON there are per value, at least, over more than denseRoom.
const (
	dense     = 3
	denseRoom = 64 * kib
)

// jsonText is JSON: one value, or with frames one after the other. It counts the elements of what is two levels deep, which
// in a list are its items, and all values.
type jsonText struct {
	frames bool
	most   int64 // bytes of a frame
	items  int64

	depth           int
	quoted, escaped bool
	bytes, values   int64
	elements        int64
	what, too       string // what is wrong
}

func (t *jsonText) take(p []byte) (what, most string) {
	for _, c := range p {
		t.bytes++
		switch {
		case t.escaped:
			t.escaped = false
		case t.quoted:
			t.escaped, t.quoted = c == '\\', c != '"'
		default:
			t.token(c)
		}
	}
	t.judge()
	return t.what, t.too
}

// judge notes what is wrong with what came so far.
func (t *jsonText) judge() {
	switch {
	case t.what != "":
	case t.frames && t.bytes > t.most:
		t.what, t.too = "an event", size(t.most)
	case t.elements > t.items:
		t.what, t.too = "the answer", "the objects that were asked for"
	case dense*t.values > t.bytes+denseRoom:
		t.what, t.too = "the answer", "one value per 3 bytes"
	}
}

// token takes a byte outside of strings.
func (t *jsonText) token(c byte) {
	switch c {
	case '"':
		t.quoted = true
	case ',':
		t.values++
		if t.depth == 2 {
			t.elements++
		}
	case '{', '[':
		t.values++
		t.depth++
	case '}', ']':
		if t.depth--; t.depth <= 0 && t.frames {
			t.judge()
			*t = jsonText{frames: true, most: t.most, items: t.items, what: t.what, too: t.too}
		}
	}
}

// sparse is how many bytes of protobuf there are per field of at most shortField bytes, at least, over more than denseRoom.
const (
	sparse     = 5
	shortField = 4
)

// shortFields counts what may be messages, strings or lists of so few bytes that they take many times as much in memory, at
// whatever depth, without knowing what is a message: a length of at most shortField after what ends or begins a tag, or after more
// bytes of itself. What is counted beside those, some small numbers among them, is rare in what honest servers send; in text, which
// is most of that, there are no such bytes.
type shortFields struct {
	last         byte
	bytes, short int64
}

func (s *shortFields) take(p []byte) (what, most string) {
	last := s.last
	for _, c := range p {
		if c <= shortField && (last&7 == 2 || last >= 0x80 || last <= 7) {
			s.short++
		}
		last = c
	}
	s.last, s.bytes = last, s.bytes+int64(len(p))
	if sparse*s.short > s.bytes+denseRoom {
		return "the answer", "one short field per 5 bytes"
	}
	return "", ""
}

// protobufFrames are the events of a watch: each has its length before it, in four bytes.
type protobufFrames struct {
	fields shortFields
	header [4]byte
	have   int   // of header
	rest   int64 // of the frame
}

func (f *protobufFrames) take(p []byte) (what, most string) {
	for len(p) > 0 {
		if f.rest > 0 {
			n := min(f.rest, int64(len(p)))
			if what, most = f.fields.take(p[:n]); what != "" {
				return what, most
			}
			f.rest, p = f.rest-n, p[n:]
			continue
		}
		f.header[f.have] = p[0]
		p = p[1:]
		if f.have++; f.have == len(f.header) {
			f.have, f.rest, f.fields = 0, int64(binary.BigEndian.Uint32(f.header[:])), shortFields{}
			if f.rest > eventBytes {
				return "an event", size(eventBytes)
			}
		}
	}
	return "", ""
}

// protobufList is one object in the envelope of Kubernetes: four bytes, then a message whose field 2 is the object. The items
// of a list are its field 2. Other fields are skipped, and a field whose type is not among those of protobuf ends the count:
// what follows can't be decoded either.
type protobufList struct {
	items  int64
	fields shortFields

	prefix  int    // bytes of the envelope that came
	inside  bool   // in the object
	left    uint64 // of the object
	state   int
	number  uint64 // the varint that is being read
	shift   uint
	field   uint64
	skip    uint64
	counted int64
	ended   bool
}

const (
	readTag = iota
	readLength
	readVarint
	skipBytes
)

func (l *protobufList) take(p []byte) (what, most string) {
	if what, most = l.fields.take(p); what != "" {
		return what, most
	}
	for len(p) > 0 && !l.ended {
		if l.prefix < 4 {
			l.prefix++
			p = p[1:]
			continue
		}
		n, within := uint64(1), l.inside
		if l.state == skipBytes {
			n = min(l.skip, uint64(len(p)))
			if l.skip -= n; l.skip == 0 {
				l.state = readTag
			}
		} else {
			l.varint(p[0])
		}
		p = p[n:]
		if within {
			if l.left -= min(n, l.left); l.left == 0 {
				l.inside, l.state = false, readTag
			}
		}
		if l.counted > l.items {
			return "the answer", "the objects that were asked for"
		}
	}
	return "", ""
}

// varint takes a byte of a varint, and goes on when it is complete.
func (l *protobufList) varint(c byte) {
	l.number |= uint64(c&0x7f) << l.shift
	if l.shift += 7; c&0x80 != 0 && l.shift < 70 {
		return
	}
	n := l.number
	l.number, l.shift = 0, 0
	switch l.state {
	case readVarint:
		l.state = readTag
	case readLength:
		l.length(n)
	case readTag:
		l.field = n >> 3
		switch n & 7 {
		case 0:
			l.state = readVarint
		case 1:
			l.jump(8)
		case 2:
			l.state = readLength
		case 5:
			l.jump(4)
		default:
			l.ended = true
		}
	}
}

func (l *protobufList) jump(n uint64) {
	l.skip, l.state = n, skipBytes
	if n == 0 {
		l.state = readTag
	}
}

// length takes the length of a field.
func (l *protobufList) length(n uint64) {
	switch {
	case l.field == 2 && !l.inside && n > 0:
		l.inside, l.left, l.state = true, n, readTag
	case l.field == 2 && l.inside:
		l.counted++
		l.jump(n)
	default:
		l.jump(n)
	}
}
