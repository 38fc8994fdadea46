package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the real executor, v1.17.1, was seen to do before a model that answers with what it was asked.
type recorded struct {
	Protocol, Method, Path, Body, Type, Location, Without string
	Status                                                int
	Puid                                                  bool
	Answer                                                any
	Metrics                                               []string
	// Of other people's pages and documents only these parts of the text are kept.
	Names []string
}

func TestTheStandInDoesWhatTheExecutorWasSeenToDo(t *testing.T) {
	text, err := os.ReadFile("recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	model := httptest.NewServer(http.HandlerFunc(echo))
	defer model.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	handlers := map[string]http.Handler{}
	for _, protocol := range []string{"seldon", "v2", "tensorflow"} {
		handlers[protocol] = before(t, protocol, model.Listener.Addr())
		handlers[protocol+" without model"] = before(t, protocol, gone.Addr())
	}
	for _, want := range all {
		name := want.Protocol + " " + want.Method + " " + want.Path
		handler := handlers[want.Protocol]
		if want.Without != "" {
			name += " without " + want.Without
			handler = handlers[want.Protocol+" without model"]
			if want.Path == "predict" {
				want.Path = map[string]string{
					"seldon": "/api/v1.0/predictions", "v2": "/v2/models/iris/infer", "tensorflow": "/v1/models/iris:predict",
				}[want.Protocol]
			}
		}
		t.Run(name, func(t *testing.T) { compare(t, handler, want) })
	}
}

// echo answers with the request, and fails where it is asked to.
func echo(answer http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	answer.Header().Set("Content-Type", "application/json")
	if strings.Contains(string(body), "please fail") {
		answer.WriteHeader(http.StatusInternalServerError)
	}
	_ = json.NewEncoder(answer).Encode(map[string]any{
		"method": request.Method, "path": request.URL.Path, "body": string(body), "puid": request.Header.Get(puidHeader) != "",
	})
}

func before(t *testing.T, protocol string, model net.Addr) http.Handler {
	t.Helper()
	host, port, err := net.SplitHostPort(model.String())
	if err != nil {
		t.Fatal(err)
	}
	served := &predictor{Name: "default", Annotations: map[string]string{"version": "7"}}
	served.Graph.Name, served.Graph.Type = "iris", "MODEL"
	served.Graph.Endpoint.Host = host
	served.Graph.Endpoint.Port, _ = strconv.Atoi(port)
	served.Graph.Endpoint.HTTPPort = served.Graph.Endpoint.Port
	options := read([]string{"--sdep", "iris", "--namespace", "edge", "--prometheus_path", "/prometheus", "--full_health_checks=false"})
	options["protocol"] = protocol
	return handler(options, served, newCounts("iris", served))
}

func compare(t *testing.T, handler http.Handler, want recorded) {
	request := httptest.NewRequest(want.Method, "http://executor/", strings.NewReader(want.Body))
	request.URL = &url.URL{Path: want.Path}
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	text := strings.TrimSpace(answer.Body.String())
	if want.Metrics != nil {
		var counted []string
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "seldon_api_executor_server_requests_seconds_count") {
				counted = append(counted, strings.TrimSpace(line))
			}
		}
		slices.Sort(counted)
		if !slices.Equal(counted, want.Metrics) {
			t.Errorf("counted\n%s\nnot\n%s", strings.Join(counted, "\n"), strings.Join(want.Metrics, "\n"))
		}
		return
	}
	if answer.Code != want.Status {
		t.Errorf("status %d, not %d", answer.Code, want.Status)
	}
	if want.Without != "" {
		return
	}
	if kind := answer.Header().Get("Content-Type"); kind != want.Type {
		t.Errorf("type %q, not %q", kind, want.Type)
	}
	if puid := answer.Header().Get(puidHeader) != ""; puid != want.Puid {
		t.Errorf("a puid: %t, not %t", puid, want.Puid)
	}
	if location := answer.Header().Get("Location"); location != want.Location {
		t.Errorf("led to %q, not %q", location, want.Location)
	}
	for _, part := range want.Names {
		if !strings.Contains(text, part) {
			t.Errorf("%s is not in %s", part, text)
		}
	}
	if want.Names != nil {
		return
	}
	var got any = text
	if object := map[string]any{}; json.Unmarshal([]byte(text), &object) == nil {
		got = object
	}
	if want.Answer == nil {
		want.Answer = ""
	}
	ours, _ := json.Marshal(got)
	theirs, _ := json.Marshal(want.Answer)
	if string(ours) != string(theirs) {
		t.Errorf("answered %s, not %s", ours, theirs)
	}
}
