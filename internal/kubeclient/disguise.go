package kubeclient

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// headBytes is how much of an answer is looked at to tell a Status from what was asked for. One that says of a deletion that it
// succeeded has some hundred bytes.
const headBytes = 4 << 10

// disguised reports whether an answer with a code of success is a Status that tells of a failure, or a Status where an object or a
// list was asked for, which client-go takes for one that is empty. What a deletion gets is a Status, and client-go doesn't read it.
func disguised(r *http.Request, resp *http.Response) bool {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	buffered := bufio.NewReaderSize(resp.Body, headBytes)
	head, _ := buffered.Peek(headBytes) // whoever reads on finds the error
	resp.Body = struct {
		io.Reader
		io.Closer
	}{buffered, resp.Body}
	is, succeeded := false, false
	if media == runtime.ContentTypeProtobuf {
		is = bytes.Contains(head[:min(len(head), 32)], []byte("\x12\x06Status"))
		status := decodeStatus(media, head)
		succeeded = status != nil && status.Status == metav1.StatusSuccess
	} else {
		is, succeeded = statusIn(head)
	}
	return is && (!succeeded || r.Method == http.MethodGet)
}

// statusIn reports whether JSON, of which the first bytes are given, is a Status, and one of success.
func statusIn(head []byte) (is, succeeded bool) {
	d := json.NewDecoder(bytes.NewReader(head))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return false, false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		var value any
		if err := d.Decode(&value); err != nil { // it may go on beyond the head
			break
		}
		switch key {
		case "kind":
			if is = value == "Status"; !is {
				return false, false
			}
		case "status":
			succeeded = value == metav1.StatusSuccess
		}
	}
	return is, succeeded
}

// undisguised returns such an answer as the error that it is, with the code that it says it has.
func undisguised(r *http.Request, resp *http.Response) *http.Response {
	resp = shortError(r, resp)
	content, _ := io.ReadAll(resp.Body) // of memory
	resp.Body = io.NopCloser(bytes.NewReader(content))
	resp.StatusCode = http.StatusInternalServerError
	if status := decodeStatus(runtime.ContentTypeJSON, content); status != nil && status.Code >= 400 && status.Code < 600 {
		resp.StatusCode = int(status.Code)
	}
	resp.Status = http.StatusText(resp.StatusCode)
	return resp
}
