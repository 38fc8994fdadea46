package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// With a real executor, what it does is written down instead: go test -run "Graphs|Counts" -record <path of an executor>.
var record = flag.String("record", "", "a real executor whose answers are written to graphs.json, and its counts to counts.json")

// How long whatever is on its way may take to arrive.
const arrival = 5 * time.Second

// What the real executor, v1.17.1, was seen to do with requests to a graph, before units that say what they were asked.
type scene struct {
	Name string `json:"name"`
	// Settings of the executor's process.
	Environment map[string]string `json:"environment,omitempty"`
	// The images of units, as the executor's counts name them.
	Images   map[string]string `json:"images,omitempty"`
	Graph    map[string]any    `json:"graph"`
	Requests []*exchange       `json:"requests"`
}

type exchange struct {
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty"`

	// 0 where the connection was closed without an answer.
	Status int    `json:"status"`
	Type   string `json:"type"`
	Answer any    `json:"answer"`
	// Who was asked for what, by request and sorted: units may be asked at once.
	Calls []string `json:"calls,omitempty"`
	// What came to the sink of the payload logs: its headers, and the body.
	Events []map[string]any `json:"events,omitempty"`
}

func TestTheStandInLeadsThroughGraphsAsTheExecutorWasSeenTo(t *testing.T) {
	text, err := os.ReadFile("graphs.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []*scene
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, scene := range all {
		t.Run(scene.Name, func(t *testing.T) { play(t, scene) })
	}
	if *record != "" {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(all); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("graphs.json", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// world is what stands around an executor: units, and a sink for payload logs.
type world struct {
	mutex  sync.Mutex
	calls  []string
	events []map[string]any
}

func play(t *testing.T, scene *scene) {
	w := &world{}
	sink := httptest.NewServer(http.HandlerFunc(w.sink))
	defer sink.Close()
	for name, value := range scene.Environment {
		t.Setenv(name, value)
	}
	t.Setenv("REQUEST_LOGGER_DEFAULT_ENDPOINT", sink.URL)
	graph, _ := json.Marshal(scene.Graph)
	var described map[string]any
	_ = json.Unmarshal(graph, &described)
	w.furnish(t, described)
	var containers []map[string]string
	for name, image := range scene.Images {
		containers = append(containers, map[string]string{"name": name, "image": image})
	}
	predictor, _ := json.Marshal(map[string]any{
		"name": "default", "annotations": map[string]string{"version": "7"}, "graph": described,
		"componentSpecs": []any{map[string]any{"spec": map[string]any{"containers": containers}}},
	})
	url, _ := begin(t, base64.StdEncoding.EncodeToString(predictor))
	for number, want := range scene.Requests {
		puid := "request-" + strconv.Itoa(number+1)
		got := w.ask(t, url, puid, want)
		if *record != "" {
			*want = got
			continue
		}
		ours, _ := json.MarshalIndent(got, "", " ")
		theirs, _ := json.MarshalIndent(want, "", " ")
		if !bytes.Equal(ours, theirs) {
			t.Errorf("%s: was\n%s\nnot\n%s", puid, ours, theirs)
		}
	}
}

// furnish gives each unit that runs somewhere a server of its own.
func (w *world) furnish(t *testing.T, unit map[string]any) {
	t.Helper()
	name := unit["name"].(string)
	if unit["implementation"] == nil {
		server := httptest.NewServer(w.unit(name))
		t.Cleanup(server.Close)
		host, port, _ := net.SplitHostPort(server.Listener.Addr().String())
		number, _ := strconv.Atoi(port)
		unit["endpoint"] = map[string]any{"service_host": host, "service_port": number, "httpPort": number}
	}
	children, _ := unit["children"].([]any)
	for _, child := range children {
		w.furnish(t, child.(map[string]any))
	}
}

// unit says what it was asked, and fails or routes as it is asked to.
func (w *world) unit(name string) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		text, _ := io.ReadAll(request.Body)
		w.mutex.Lock()
		w.calls = append(w.calls, request.Header.Get(puidHeader)+" "+name+" "+request.URL.Path)
		w.mutex.Unlock()
		var in any
		_ = json.Unmarshal(text, &in)
		out := map[string]any{"by": name, "path": request.URL.Path, "in": in, "meta": map[string]any{}}
		answer.Header().Set("Content-Type", "application/json")
		if strings.Contains(string(text), "fail "+name) {
			answer.WriteHeader(http.StatusTeapot)
		}
		encoder := json.NewEncoder(answer)
		encoder.SetEscapeHTML(false)
		if request.URL.Path == "/route" {
			// To the second child, unless it is asked to answer something else.
			out = map[string]any{"data": map[string]any{"ndarray": []any{1}}}
			if asked, is := in.(map[string]any)["route"].(map[string]any); is {
				out = asked
			}
		}
		_ = encoder.Encode(out)
	}
}

func (w *world) sink(_ http.ResponseWriter, request *http.Request) {
	text, _ := io.ReadAll(request.Body)
	event := map[string]any{"Content-Type": request.Header.Get("Content-Type"), "body": parsed(string(text))}
	for name := range request.Header {
		if strings.HasPrefix(name, "Ce-") {
			event[name] = portless(request.Header.Get(name))
		}
	}
	for _, name := range []string{"Ce-Id", "Ce-Time", "Ce-Traceparent"} {
		if event[name] != nil {
			event[name] = "some"
		}
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.events = append(w.events, event)
}

// begin starts the stand-in, or a real executor, and says where it is: by HTTP, and by gRPC.
func begin(t *testing.T, predictor string) (string, string) {
	t.Helper()
	arguments := []string{"--sdep", "iris", "--namespace", "edge", "--predictor", "default", "--prometheus_path", "/prometheus"}
	if *record == "" {
		served, err := decode(predictor)
		if err != nil {
			t.Fatal(err)
		}
		counts := newCounts("iris", served)
		server := httptest.NewServer(handler(read(arguments), served, counts))
		t.Cleanup(server.Close)
		return server.URL, speaking(t, calling(&served.Graph, counts))
	}
	web, calls := free(t), free(t)
	process := exec.Command(*record, append(arguments, "--http_port", web, "--grpc_port", calls)...)
	process.Env = append(os.Environ(), "ENGINE_PREDICTOR="+predictor)
	process.Stdout, process.Stderr = os.Stderr, os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	url := "http://127.0.0.1:" + web
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if answer, err := http.Get(url + "/live"); err == nil {
			_ = answer.Body.Close()
			return url, "http://127.0.0.1:" + calls
		} else if time.Since(begun) > arrival {
			t.Fatal(err)
		}
	}
}

// speaking serves gRPC, and says where.
func speaking(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = unencrypted()
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// ask is the same request again, with what came of it.
func (w *world) ask(t *testing.T, url, puid string, want *exchange) exchange {
	t.Helper()
	got := exchange{Path: want.Path, Headers: want.Headers, Body: want.Body}
	method, body := http.MethodPost, ""
	switch asked := want.Body.(type) {
	case nil:
		method = http.MethodGet
	case string:
		body = asked
	default:
		text, _ := json.Marshal(asked)
		body = string(text)
	}
	request, err := http.NewRequest(method, url+want.Path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(puidHeader, puid)
	for name, value := range want.Headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err == nil {
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		got.Status, got.Type, got.Answer = answer.StatusCode, answer.Header.Get("Content-Type"), parsed(string(text))
		if method == http.MethodGet {
			got.Type, got.Answer = "", counted(string(text))
		}
	}
	got.Events = w.logged(len(want.Events))
	w.mutex.Lock()
	defer w.mutex.Unlock()
	slices.Sort(w.calls)
	got.Calls, w.calls = w.calls, nil
	return got
}

// logged waits for the events of a request: so many, or while a real executor sends more.
func (w *world) logged(expected int) []map[string]any {
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		w.mutex.Lock()
		seen := len(w.events)
		w.mutex.Unlock()
		if *record == "" && seen >= expected || *record != "" && time.Since(begun) > time.Second || time.Since(begun) > arrival {
			break
		}
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	events := w.events
	w.events = nil
	slices.SortFunc(events, func(a, b map[string]any) int {
		left, _ := json.Marshal(a)
		right, _ := json.Marshal(b)
		return bytes.Compare(left, right)
	})
	return events
}

// counted are the executor's own requests among its counts.
func counted(text string) []any {
	lines := []any{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "seldon_api_executor_client_requests_seconds_count") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func parsed(text string) any {
	text = portless(strings.TrimSpace(text))
	var value any
	// How something is escaped is to be seen.
	if strings.Contains(text, `\u00`) || json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	return value
}

var port = regexp.MustCompile(`:\d+/`)

// portless is a text without the ports of the day.
func portless(text string) string {
	return port.ReplaceAllString(text, ":PORT/")
}
