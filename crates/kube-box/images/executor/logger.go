// The payload log of a unit: what goes in and out, as CloudEvents over HTTP, as the real executor's logger/worker.go
// sends them.
package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// event is what is logged, by the type that it has as a CloudEvent.
type event string

const (
	logRequest  event = "io.seldon.serving.inference.request"
	logResponse event = "io.seldon.serving.inference.response"
	logFeedback event = "io.seldon.serving.feedback"
)

// wantedBy says whether a unit's mode asks for it; feedback goes with the answers.
func (e event) wantedBy(mode string) bool {
	switch mode {
	case "all":
		return true
	case "request":
		return e == logRequest
	case "response":
		return e != logRequest
	}
	return false
}

// How long a sink may take for one.
const sinkPatience = 60 * time.Second

// logger sends what is logged, in the background: a sink that is slow or away costs no request.
type logger struct {
	queue chan *http.Request
	// How long one waits for room in the queue before it is dropped.
	patience time.Duration
	// What is the same in all of them.
	headers map[string]string
	sink    string
}

// newLogger starts the workers that the operator's flags ask for.
func newLogger(options map[string]string) *logger {
	size, _ := strconv.Atoi(options["log_work_buffer_size"])
	patience, _ := strconv.Atoi(options["log_write_timeout_ms"])
	workers, _ := strconv.Atoi(options["logger_workers"])
	l := &logger{
		queue:    make(chan *http.Request, size),
		patience: time.Duration(patience) * time.Millisecond,
		headers: map[string]string{
			"Ce-Specversion":          "1.0",
			"Ce-Source":               "http://" + options["hostname"] + ":" + options["http_port"] + "/",
			"Ce-Inferenceservicename": options["sdep"],
			"Ce-Namespace":            options["namespace"],
			"Ce-Endpoint":             options["predictor"],
			"Ce-Protocol":             options["protocol"],
		},
		// What the operator is told once for all.
		sink: os.Getenv("REQUEST_LOGGER_DEFAULT_ENDPOINT"),
	}
	client := &http.Client{Timeout: sinkPatience}
	for range workers {
		go func() {
			for entry := range l.queue {
				if err := deliver(client, entry); err != nil {
					log.Printf("not logged: %v", err)
				}
			}
		}()
	}
	return l
}

func deliver(client *http.Client, entry *http.Request) error {
	answer, err := client.Do(entry)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s answered %s", entry.URL, answer.Status)
	}
	return nil
}

// send queues one, without waiting for it.
func (l *logger) send(u *unit, what event, puid string, logged message) {
	sink := u.Logger.URL
	if sink == "" {
		sink = l.sink
	}
	entry, err := http.NewRequest(http.MethodPost, sink, bytes.NewReader(logged.body))
	if err != nil {
		log.Printf("not logged: %v", err)
		return
	}
	for name, value := range l.headers {
		entry.Header.Set(name, value)
	}
	entry.Header.Set("Ce-Id", strings.ToLower(rand.Text()))
	entry.Header.Set("Ce-Time", time.Now().UTC().Format(time.RFC3339Nano))
	// Of a trace that nobody keeps.
	trace := make([]byte, 24)
	_, _ = rand.Read(trace)
	entry.Header.Set("Ce-Traceparent", fmt.Sprintf("00-%x-%x-00", trace[:16], trace[16:]))
	entry.Header.Set("Ce-Type", string(what))
	entry.Header.Set("Ce-Modelid", u.Name)
	entry.Header.Set("Ce-Requestid", puid)
	entry.Header.Set("Content-Type", logged.kind)
	go func() {
		select {
		case l.queue <- entry:
		case <-time.After(l.patience):
			log.Print("not logged: the queue is full")
		}
	}()
}
