package kubeclient

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// shortError returns an answer that is an error with excerpts of its texts: those that client-go makes its errors of, and with
// them everybody who logs one or puts it into a condition. Its code, and what programs read of it, stay.
func shortError(r *http.Request, resp *http.Response) *http.Response {
	content, err := io.ReadAll(io.LimitReader(resp.Body, errorBytes+1))
	_ = resp.Body.Close()
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if seconds, isNumber := strconv.Atoi(resp.Header.Get("Retry-After")); isNumber != nil || seconds < 0 || seconds > int(retryAfter.Seconds()) {
		resp.Header.Del("Retry-After")
		if isNumber == nil && seconds > 0 {
			resp.Header.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		}
	}
	var status *metav1.Status
	if err == nil && len(content) <= errorBytes {
		status = decodeStatus(media, content)
	}
	media = "text/plain"
	switch {
	case status != nil:
		media = runtime.ContentTypeJSON
		content, _ = json.Marshal(shortStatus(status)) // strings and numbers
	case len(content) > errorBytes:
		content = []byte("the server's explanation has more than " + size(errorBytes) + " and is left out: " + excerpt.Of(string(content[:errorField]), errorField))
	default:
		content = []byte(excerpt.Of(string(content), excerpt.Line))
	}
	resp.Header.Set("Content-Type", media)
	resp.Header.Del("Content-Length")
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	return resp
}

// decodeStatus returns the Status that an answer is; nil if it is something else.
func decodeStatus(media string, content []byte) *metav1.Status {
	status := &metav1.Status{}
	switch media {
	case runtime.ContentTypeJSON:
		if json.Unmarshal(content, status) != nil {
			return nil
		}
	case runtime.ContentTypeProtobuf:
		var envelope runtime.Unknown
		raw, is := bytes.CutPrefix(content, []byte("k8s\x00"))
		if !is || envelope.Unmarshal(raw) != nil || status.Unmarshal(envelope.Raw) != nil {
			return nil
		}
		status.TypeMeta = metav1.TypeMeta{Kind: envelope.Kind, APIVersion: envelope.APIVersion}
	}
	if status.Kind != "Status" {
		return nil
	}
	return status
}

// shortStatus returns a Status with excerpts of its texts.
func shortStatus(s *metav1.Status) *metav1.Status {
	out := &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: excerpt.Of(s.Status, errorField), Code: s.Code,
		Message: excerpt.Of(s.Message, excerpt.Line), Reason: metav1.StatusReason(excerpt.Of(string(s.Reason), errorField)),
	}
	if s.Details == nil {
		return out
	}
	out.Details = &metav1.StatusDetails{
		Name: excerpt.Of(s.Details.Name, errorField), Group: excerpt.Of(s.Details.Group, errorField), Kind: excerpt.Of(s.Details.Kind, errorField),
		UID:               s.Details.UID[:min(len(s.Details.UID), errorField)],
		RetryAfterSeconds: max(0, min(s.Details.RetryAfterSeconds, int32(retryAfter.Seconds()))),
	}
	for i := range min(len(s.Details.Causes), errorCauses) {
		c := &s.Details.Causes[i]
		out.Details.Causes = append(out.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseType(excerpt.Of(string(c.Type), errorField)), Message: excerpt.Of(c.Message, errorField), Field: excerpt.Of(c.Field, errorField),
		})
	}
	return out
}
