package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/labstack/echo/v4"
)

func health(c echo.Context) error { return c.JSON(http.StatusOK, map[string]string{"status": "ok"}) }

// decode reads one JSON object strictly: a key that is not known, a second value, a
// repeated key or deep nesting is an error, as is another content type.
func decode(c echo.Context, into any) error {
	r := c.Request()
	if mt, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); err != nil || mt != "application/json" {
		return NewError(http.StatusUnsupportedMediaType, "the body must be application/json", "api/content-type", "send Content-Type: application/json")
	}
	data, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return NewError(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body exceeds %d bytes", tooLarge.Limit), "api/body", "")
	}
	if err != nil {
		return NewError(http.StatusBadRequest, "the body could not be read", "api/body", "")
	}
	if !utf8.Valid(data) {
		return NewError(http.StatusBadRequest, "the body is not valid UTF-8", "api/json", "")
	}
	if err := abi.CheckJSON(data, MaxDepth); err != nil {
		return NewError(http.StatusBadRequest, "the body is not acceptable JSON: "+err.Error(), "api/json", "")
	}
	if key, ok := foreignKey(data); ok {
		return NewError(http.StatusBadRequest, fmt.Sprintf("the body does not fit: unknown field %q", key), "api/json", "")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return NewError(http.StatusBadRequest, "the body does not fit: "+strings.TrimPrefix(err.Error(), "json: "), "api/json", "")
	}
	return nil
}

// foreignKey returns a key of the object data that no request has, because of its
// spelling: encoding/json takes Message, and even meſſage, for message.
func foreignKey(data []byte) (string, bool) {
	var keys map[string]json.RawMessage
	if json.Unmarshal(data, &keys) != nil {
		return "", false // no object: the decoder says so
	}
	for key := range keys {
		if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return key, true
		}
	}
	return "", false
}

func (s *Server) chat(c echo.Context) error {
	var req ChatRequest
	if err := decode(c, &req); err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(req.Message) == "":
		return NewError(http.StatusBadRequest, "message is empty", "api/chat", "")
	case len(req.Message) > maxMessage:
		return NewError(http.StatusRequestEntityTooLarge, fmt.Sprintf("message has %d bytes, more than %d", len(req.Message), maxMessage), "api/chat", "")
	case len(req.Session) > maxSession || !printable(req.Session):
		return NewError(http.StatusBadRequest, fmt.Sprintf("session is not a printable name of at most %d bytes", maxSession), "api/chat", "")
	}
	// The deadline of reading the request would end a long answer's context too; that
	// of writing begins with each write.
	conn := http.NewResponseController(c.Response())
	if err := errors.Join(conn.SetReadDeadline(time.Time{}), conn.SetWriteDeadline(time.Time{})); err != nil {
		s.log.Debug("no deadlines here", "err", err)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), chatTime)
	defer cancel()
	if accepts(c.Request(), "text/event-stream") {
		return s.stream(ctx, c, req)
	}
	reply, err := s.backend.Chat(ctx, req, nil)
	if deadlineErr := conn.SetWriteDeadline(time.Now().Add(s.patience)); deadlineErr != nil {
		s.log.Debug("no deadline here", "err", deadlineErr)
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, reply)
}

// stream answers with server-sent events and a heartbeat; the last one is reply or
// problem.
func (s *Server) stream(ctx context.Context, c echo.Context, req ChatRequest) error {
	w := c.Response()
	w.Header().Set(echo.HeaderContentType, "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.Flush()
	out := &events{w: w, encode: s.encode, patience: s.patience}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(15 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				out.raw(": heartbeat\n\n")
			}
		}
	})
	reply, err := s.backend.Chat(ctx, req, out.emit)
	close(done)
	wg.Wait()
	if err != nil {
		out.emit(Event{"problem", s.problem(err)})
		return nil
	}
	out.emit(Event{"reply", reply})
	return nil
}

// events writes server-sent events; the mutex keeps a heartbeat out of an event. A
// client that takes none of them is given up: the agent waits for each write.
type events struct {
	encode   func(any) ([]byte, error)
	patience time.Duration

	mu sync.Mutex // guards w and id
	w  *echo.Response
	id int
}

func (e *events) emit(ev Event) {
	data, err := e.encode(ev.Data) // one line: JSON escapes line ends
	if err != nil {
		data = []byte(`{}`)
	}
	e.mu.Lock()
	e.id++
	id := e.id
	e.mu.Unlock()
	e.raw(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", id, ev.Name, data))
}

func (e *events) raw(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if http.NewResponseController(e.w).SetWriteDeadline(time.Now().Add(e.patience)) != nil {
		return
	}
	if _, err := io.WriteString(e.w, text); err == nil {
		e.w.Flush()
	}
}

func (s *Server) status(c echo.Context) error {
	return answer(c, func(ctx context.Context) (any, error) { return s.backend.Status(ctx) })
}

func (s *Server) skills(c echo.Context) error {
	return answer(c, func(ctx context.Context) (any, error) {
		list, err := s.backend.Skills(ctx)
		return map[string]any{"skills": notNil(list)}, err
	})
}

func (s *Server) audit(c echo.Context) error {
	n, err := number(c, "n", 50, maxAuditOut)
	if err != nil {
		return err
	}
	return answer(c, func(ctx context.Context) (any, error) {
		list, err := s.backend.Audit(ctx, n)
		return map[string]any{"records": notNil(list)}, err
	})
}

func (s *Server) stopDaemon(c echo.Context) error {
	return answer(c, func(ctx context.Context) (any, error) {
		return map[string]string{"status": "stopping"}, s.backend.Stop(ctx)
	})
}

func answer(c echo.Context, f func(context.Context) (any, error)) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), answerTime)
	defer cancel()
	v, err := f(ctx)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, v)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func accepts(r *http.Request, want string) bool {
	for _, v := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(v, ",") {
			if mt, _, err := mime.ParseMediaType(part); err == nil && mt == want {
				return true
			}
		}
	}
	return false
}

func printable(s string) bool {
	for _, r := range s {
		if r < 0x21 || r > 0x7e {
			return false
		}
	}
	return true
}

// number reads a count from the query.
func number(c echo.Context, name string, absent, most int) (int, error) {
	q := c.QueryParam(name)
	if q == "" {
		return absent, nil
	}
	v, err := strconv.Atoi(q)
	if err != nil || v < 1 || v > most {
		return 0, NewError(http.StatusBadRequest, fmt.Sprintf("%s is %q, want 1 to %d", name, q, most), "api/query", "")
	}
	return v, nil
}
