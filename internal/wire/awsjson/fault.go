package awsjson

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/aws/smithy-go"
	"github.com/go-json-experiment/json/jsontext"

	"tenon/internal/wire/model"
)

// Error is an error of the front end, raised before any operation runs: an
// unknown operation, missing or wrong credentials, a throttled call
// (spec/workflows §1.6). Code is its __type; an empty Message is left out.
type Error struct{ Code, Message string }

func (e *Error) Error() string                 { return e.Code + ": " + e.Message }
func (e *Error) ErrorCode() string             { return e.Code }
func (e *Error) ErrorMessage() string          { return e.Message }
func (e *Error) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }

// SerializationError says why a body cannot be decoded. Path leads to the value
// by wire names, as in Predicate.Conditions[1].State; it is empty for the body.
type SerializationError struct {
	Path   string
	Reason string // the rest of a sentence: "must be a string, not a number"
}

func (e *SerializationError) Error() string                 { return e.ErrorCode() + ": " + e.ErrorMessage() }
func (e *SerializationError) ErrorCode() string             { return "SerializationException" }
func (e *SerializationError) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }

// ErrorMessage is the sentence a client sees.
func (e *SerializationError) ErrorMessage() string {
	if e.Path == "" {
		return "The request body " + e.Reason + "."
	}
	return "The value at " + clip(e.Path) + " " + e.Reason + "."
}

// explain turns what the JSON parser found into a SerializationError.
func (d *decoder) explain(err error) error {
	var s *SerializationError
	if errors.As(err, &s) {
		return s
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return &SerializationError{Reason: fmt.Sprintf("is not valid JSON at byte %d: %s", syntax.ByteOffset, clip(syntax.Err.Error()))}
	}
	return &SerializationError{Reason: "ends before its JSON does"}
}

// clip keeps an answer from repeating a request.
func clip(s string) string {
	const most = 300
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

// Fault turns an error into the reply that clients understand (spec/workflows
// §1.3, §1.4): an HTTP status, the code for the access log, and the body.
//
// The SDK's exceptions are written with all their members, whose text is
// "Message"; errors of the front end carry "message". Anything else is
// an InternalServiceException that says nothing of its cause: the caller logs
// that, and wraps the exception itself when it wants the request id in the text.
func Fault(err error) (status int, code string, body []byte) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		api = &smithy.GenericAPIError{Code: "InternalServiceException", Message: "An internal error occurred."}
	}
	code = api.ErrorCode()
	status = http.StatusBadRequest
	modelled := model.Exception(code)
	if modelled != nil {
		status = modelled.Status
	}
	body = append(body, `{"__type":`...)
	body = appendText(body, code)
	if members := exceptionMembers(api); members != nil {
		return status, code, append(body, members...)
	}
	if text := api.ErrorMessage(); text != "" {
		name := `,"message":`
		if modelled != nil && !isFrontEnd(api) {
			name = `,"Message":`
		}
		body = appendText(append(body, name...), text)
	}
	return status, code, append(body, '}')
}

// exceptionMembers writes what follows the type in the body of one of the SDK's
// exceptions, or returns nil for any other error.
func exceptionMembers(api smithy.APIError) []byte {
	t := reflect.TypeOf(api)
	if t.Kind() != reflect.Pointer {
		return nil
	}
	if s := model.Of(t.Elem()); s == nil || !s.Exception {
		return nil
	}
	object, err := Marshal(api)
	if err != nil || reflect.ValueOf(api).IsNil() {
		return nil
	}
	if len(object) == len("{}") {
		return object[1:]
	}
	object[0] = ','
	return object
}

// isFrontEnd tells our own errors apart from exceptions of the same name that
// an operation declares: ValidationException is both (spec/workflows §1.5).
func isFrontEnd(api smithy.APIError) bool {
	switch api.(type) {
	case *Error, *SerializationError, *model.ValidationError:
		return true
	}
	return false
}
