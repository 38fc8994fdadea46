// A request's way through a graph of units, as the real executor's predictor/predictor_process.go leads it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
)

// unit is a node of the graph, as the operator describes it in ENGINE_PREDICTOR.
type unit struct {
	Name           string   `json:"name"`
	Type           string   `json:"type"`
	Implementation string   `json:"implementation"`
	Methods        []string `json:"methods"`
	Endpoint       struct {
		Host     string `json:"service_host"`
		Port     int    `json:"service_port"`
		HTTPPort int    `json:"httpPort"`
		GRPCPort int    `json:"grpcPort"`
	} `json:"endpoint"`
	Parameters []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"parameters"`
	Logger *struct {
		Mode string `json:"mode"`
		URL  string `json:"url"`
	} `json:"logger"`
	Children []*unit `json:"children"`
}

// is says whether the unit takes part in a request in this way: by its type, or because it says so itself.
func (u *unit) is(kind, method string) bool {
	return u.Type == kind || slices.Contains(u.Methods, method)
}

// all are the unit and those behind it.
func (u *unit) all() []*unit {
	found := []*unit{u}
	for _, child := range u.Children {
		found = append(found, child.all()...)
	}
	return found
}

// message is what goes from unit to unit: bytes, and how they are to be read.
type message struct {
	body           []byte
	kind, encoding string
}

// refusal is an answer of a unit other than 200.
type refusal struct {
	status int
	url    string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("Internal service call from executor failed calling %s status code %d", r.url, r.status)
}

// graph is what all requests share.
type graph struct {
	root *unit
	// By unit and what it is asked for, so that calls are counted.
	transport func(unit, method string) http.RoundTripper
	logger    *logger
	// Whether answers say in meta.routing which way they took. The operator hands it on from the annotation
	// seldon.io/engine-seldon-enable-routing-injection.
	tellsRouting bool
}

func newGraph(root *unit, transport func(unit, method string) http.RoundTripper, logger *logger) *graph {
	return &graph{
		root: root, transport: transport, logger: logger,
		tellsRouting: os.Getenv("SELDON_ENABLE_ROUTING_INJECTION") != "",
	}
}

// walk is one request on its way. The client's headers go to every unit.
type walk struct {
	*graph
	headers http.Header
	// The path of a model's predictions.
	path string

	mutex   sync.Mutex
	routing map[string]int
}

// serve leads a request to what is done with it, and its outcome back to the client.
func (g *graph) serve(path string, do func(*walk, *unit, message) (message, error)) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		to := path
		if to == "" {
			to = request.URL.Path
		}
		w := &walk{graph: g, headers: request.Header, path: to, routing: map[string]int{}}
		var out message
		body, err := io.ReadAll(request.Body)
		if err == nil {
			out, err = do(w, g.root, message{body: body, kind: request.Header.Get("Content-Type")})
		}
		status := http.StatusOK
		if err != nil {
			status = http.StatusInternalServerError
			if refused, is := err.(*refusal); is {
				status = refused.status
			}
			if out.body == nil {
				out = failure(err)
			}
			// The executor hands a failure's text on, but not what kind of text it is.
			out.kind = "text/plain; charset=utf-8"
		}
		answer.Header().Set("Content-Type", out.kind)
		if out.encoding != "" {
			answer.Header().Set("Content-Encoding", out.encoding)
		} else {
			var escaped bytes.Buffer
			json.HTMLEscape(&escaped, out.body)
			out.body = escaped.Bytes()
		}
		answer.WriteHeader(status)
		_, _ = answer.Write(out.body)
	})
}

func failure(err error) message {
	body, _ := json.Marshal(map[string]any{
		"status": map[string]any{"code": 500, "info": err.Error(), "status": "FAILURE"},
	})
	return message{body: body, kind: "text/plain; charset=utf-8"}
}

// predict takes a request through a unit and all behind it.
func (w *walk) predict(u *unit, in message) (message, error) {
	out, err := w.before(u, in)
	if err != nil {
		return out, err
	}
	if out, err = w.behind(u, out); err != nil {
		return out, err
	}
	if u.is("OUTPUT_TRANSFORMER", "TRANSFORM_OUTPUT") {
		if out, err = w.logged(u, out, "/transform-output", out); err != nil {
			return out, err
		}
	}
	return w.withRouting(out), nil
}

// before is what a unit does before its children.
func (w *walk) before(u *unit, in message) (message, error) {
	path := "/transform-input"
	if !u.is("TRANSFORMER", "TRANSFORM_INPUT") {
		if u.Type != "MODEL" {
			return in, nil
		}
		path = w.path
	}
	w.took(u, toAll)
	return w.logged(u, in, path, in)
}

// behind asks the children, those that the unit chooses, and makes one answer of theirs.
func (w *walk) behind(u *unit, in message) (message, error) {
	if len(u.Children) == 0 {
		return in, nil
	}
	w.log(u, logRequest, in)
	way, err := w.route(u, in)
	if err != nil {
		return message{}, err
	}
	var answers []message
	switch way {
	case toNone:
		w.took(u, toNone)
		return in, nil
	case toAll:
		answers, err = each(u.Children, func(child *unit) (message, error) { return w.predict(child, in) })
	default:
		answers, err = each(u.Children[way:way+1], func(child *unit) (message, error) { return w.predict(child, in) })
	}
	w.took(u, way)
	if err != nil {
		return answers[0], err
	}
	out := answers[0]
	if u.is("COMBINER", "AGGREGATE") {
		all, err := list(answers)
		if err != nil {
			return message{}, err
		}
		if out, err = w.logged(u, in, "/aggregate", all); err != nil {
			return out, err
		}
	}
	w.log(u, logResponse, out)
	return out, nil
}

// each asks units at once. Where some fail, the answer of the first of them is the only one.
func each(units []*unit, ask func(*unit) (message, error)) ([]message, error) {
	answers, errs := make([]message, len(units)), make([]error, len(units))
	var group sync.WaitGroup
	for index, unit := range units {
		group.Add(1)
		go func() {
			defer group.Done()
			answers[index], errs[index] = ask(unit)
		}()
	}
	group.Wait()
	for index, err := range errs {
		if err != nil {
			return answers[index : index+1], err
		}
	}
	return answers, nil
}

// list makes one JSON list of several messages.
func list(messages []message) (message, error) {
	var bodies [][]byte
	for _, each := range messages {
		if !json.Valid(each.body) {
			return message{}, fmt.Errorf("Data is not JSON")
		}
		bodies = append(bodies, each.body)
	}
	body := slices.Concat([]byte("["), bytes.Join(bodies, []byte(",")), []byte("]"))
	return message{body: body, kind: messages[0].kind}, nil
}

// feedback takes a client's feedback the way that the request went: first to those behind, then to the unit.
func (w *walk) feedback(u *unit, in message) (message, error) {
	w.log(u, logFeedback, in)
	if len(u.Children) > 0 {
		children := u.Children
		if way := wayBack(in.body, u.Name); way != toAll {
			children = children[way : way+1]
		}
		answers, err := each(children, func(child *unit) (message, error) { return w.feedback(child, in) })
		if err != nil {
			return answers[0], err
		}
	}
	if u.Type == "MODEL" || u.is("ROUTER", "SEND_FEEDBACK") {
		return w.call(u, "/send-feedback", in)
	}
	return in, nil
}

// logged calls a unit and logs both sides; what goes to a combiner is logged as it was before its children.
func (w *walk) logged(u *unit, asked message, path string, in message) (message, error) {
	w.log(u, logRequest, asked)
	out, err := w.call(u, path, in)
	if err == nil {
		w.log(u, logResponse, out)
	}
	return out, err
}

// call asks one unit.
func (w *walk) call(u *unit, path string, in message) (message, error) {
	to := &url.URL{Scheme: "http", Host: address(u.Endpoint.Host, u.Endpoint.HTTPPort), Path: path}
	asked, err := http.NewRequest(http.MethodPost, to.String(), bytes.NewReader(in.body))
	if err != nil {
		return failure(err), err
	}
	asked.Header = w.headers.Clone()
	asked.Header.Set("Content-Type", in.kind)
	if in.encoding != "" {
		asked.Header.Set("Content-Encoding", in.encoding)
	}
	client := http.Client{Transport: w.transport(u.Name, path)}
	answer, err := client.Do(asked)
	if err != nil {
		return failure(err), err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return failure(err), err
	}
	out := message{body: body, kind: answer.Header.Get("Content-Type"), encoding: answer.Header.Get("Content-Encoding")}
	if answer.StatusCode != http.StatusOK {
		return out, &refusal{status: answer.StatusCode, url: to.String()}
	}
	return out, nil
}

func (w *walk) log(u *unit, what event, logged message) {
	if u.Logger == nil || !what.wantedBy(u.Logger.Mode) || skips(w.headers) {
		return
	}
	w.logger.send(u, what, w.headers.Get(puidHeader), logged)
}

// skips says whether the client asked that nothing be logged.
func skips(headers http.Header) bool {
	return slices.ContainsFunc(headers.Values("Seldon-Skip-Logging"), func(value string) bool {
		return slices.Contains([]string{"true", "on", "1"}, strings.ToLower(value))
	})
}
