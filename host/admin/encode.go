package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Redactor takes known secrets out of a JSON document, or reports that it cannot.
type Redactor func(doc []byte) ([]byte, error)

// errWithheld answers when a secret cannot be taken out of an answer.
var errWithheld = NewError(http.StatusInternalServerError, "the answer is withheld: it holds a secret that cannot be taken out of it", "guard/secret", "glovebox audit tail")

// encode is the one way from a value to the bytes of an answer, whole or an event:
// known secrets are replaced.
func (s *Server) encode(v any) ([]byte, error) {
	doc, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	if doc, err = s.redact(doc); err != nil {
		return nil, errWithheld
	}
	return doc, nil
}

// serializer is what echo encodes answers with.
type serializer struct{ *Server }

var _ echo.JSONSerializer = serializer{}

// Serialize implements echo.JSONSerializer.
func (s serializer) Serialize(c echo.Context, v any, _ string) error {
	doc, err := s.encode(v)
	if err == nil {
		_, err = c.Response().Write(append(doc, '\n'))
	}
	return err
}

// Deserialize implements echo.JSONSerializer; requests are decoded by decode alone.
func (serializer) Deserialize(echo.Context, any) error {
	return errors.New("requests are not decoded here")
}
