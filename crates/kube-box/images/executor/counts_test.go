package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the real executor, v1.17.1, was seen to count after a prediction, one that failed, and the same over gRPC: every series, without
// its value.
func TestTheStandInCountsAsTheExecutorWasSeenTo(t *testing.T) {
	model := httptest.NewServer(http.HandlerFunc(echo))
	defer model.Close()
	port := func(url string) int {
		_, text, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
		number, _ := strconv.Atoi(text)
		return number
	}
	predictor, _ := json.Marshal(map[string]any{
		"name": "default", "annotations": map[string]string{"version": "7"},
		"graph": map[string]any{"name": "iris", "type": "MODEL", "endpoint": map[string]any{
			"service_host": "127.0.0.1", "service_port": port(model.URL), "httpPort": port(model.URL),
			"grpcPort": port(speaking(t, http.HandlerFunc(reply))),
		}},
		"componentSpecs": []any{map[string]any{"spec": map[string]any{"containers": []any{
			map[string]string{"name": "iris", "image": "seldonio/iris:0.3"},
		}}}},
	})
	web, calls := begin(t, base64.StdEncoding.EncodeToString(predictor))
	for _, body := range []string{`{"data":{"ndarray":[[1]]}}`, "please fail"} {
		send(t, http.DefaultClient, web+"/api/v1.0/predictions", "application/json", body)
	}
	client := &http.Client{Transport: &http.Transport{Protocols: unencrypted()}}
	// A frame of gRPC: nothing compressed, and the length of a message. One has the text "please fail" as its strData.
	for _, body := range []string{"\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x0d\x2a\x0bplease fail"} {
		send(t, client, calls+"/seldon.protos.Seldon/Predict", "application/grpc", body)
	}
	var got []string
	for line := range strings.Lines(send(t, http.DefaultClient, web+"/prometheus", "", "")) {
		if strings.HasPrefix(line, "seldon_api_executor_") {
			got = append(got, line[:strings.LastIndex(line, " ")])
		}
	}
	slices.Sort(got)
	if *record != "" {
		text, _ := json.MarshalIndent(got, "", " ")
		text = []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(text)))
		if err := os.WriteFile("counts.json", append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile("counts.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, series := range want {
		if !slices.Contains(got, series) {
			t.Errorf("not counted: %s", series)
		}
	}
	for _, series := range got {
		if !slices.Contains(want, series) {
			t.Errorf("counted: %s", series)
		}
	}
}

// reply is a model that speaks gRPC: an empty message, or a failure where it is asked to.
func reply(answer http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	answer.Header().Set("Content-Type", "application/grpc")
	answer.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	if strings.Contains(string(body), "please fail") {
		answer.Header().Set("Grpc-Status", "13")
		answer.Header().Set("Grpc-Message", "as asked")
		return
	}
	_, _ = answer.Write([]byte("\x00\x00\x00\x00\x00"))
	answer.Header().Set("Grpc-Status", "0")
}

func send(t *testing.T, client *http.Client, url, kind, body string) string {
	t.Helper()
	method := http.MethodPost
	if kind == "" {
		method = http.MethodGet
	}
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Te", "trailers")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
