package main

import (
	"cmp"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// counts are how long requests took, under the names and labels of v1.17.1 (executor/api/metric): those that the executor answers,
// and those that it makes to the units, each as a histogram and as a summary.
type counts struct {
	registry *prometheus.Registry
	answers  measure
	asks     measure
	// What the executor says of a unit's image: its name and its version.
	images map[string][]string
}

// measure is one histogram and one summary of the same.
type measure struct {
	histogram *prometheus.HistogramVec
	summary   *prometheus.SummaryVec
}

// How long requests take, in seconds, as the executor sorts them.
var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// The parts of the requests of which it says the time, each with how wrong it may be.
var objectives = map[float64]float64{0.5: 0.05, 0.75: 0.025, 0.9: 0.01, 0.98: 0.002, 0.99: 0.001, 1: 0}

func newCounts(deployment string, served *predictor) *counts {
	all := &counts{registry: prometheus.NewRegistry(), images: map[string][]string{}}
	of := prometheus.Labels{
		"deployment_name":   deployment,
		"predictor_name":    served.Name,
		"predictor_version": served.Annotations["version"],
	}
	all.answers = newMeasure(all.registry, of, "server", "service")
	all.asks = newMeasure(all.registry, of, "client", "service", "model_name", "model_image", "model_version")
	for _, component := range served.ComponentSpecs {
		for _, container := range component.Spec.Containers {
			all.images[container.Name] = strings.Split(container.Image, ":")
		}
	}
	return all
}

func newMeasure(registry prometheus.Registerer, of prometheus.Labels, side string, labels ...string) measure {
	name := "seldon_api_executor_" + side + "_requests_seconds"
	labels = append(labels, "method", "code")
	made := measure{
		prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: "How long requests took, sorted.", Buckets: buckets, ConstLabels: of,
		}, labels),
		prometheus.NewSummaryVec(prometheus.SummaryOpts{
			Name: name + "_summary", Help: "How long requests took.", Objectives: objectives, ConstLabels: of,
		}, labels),
	}
	registry.MustRegister(made.histogram, made.summary)
	return made
}

// answered counts the HTTP requests of a service.
func (c *counts) answered(service string, next http.Handler) http.Handler {
	of := prometheus.Labels{"service": service}
	next = promhttp.InstrumentHandlerDuration(c.answers.histogram.MustCurryWith(of), next)
	return promhttp.InstrumentHandlerDuration(c.answers.summary.MustCurryWith(of), next)
}

// asked counts what the executor asks of a unit by HTTP, and by which path.
func (c *counts) asked(unit, path string) http.RoundTripper {
	of := c.of(unit, path)
	next := promhttp.InstrumentRoundTripperDuration(c.asks.histogram.MustCurryWith(of), http.DefaultTransport)
	return promhttp.InstrumentRoundTripperDuration(c.asks.summary.MustCurryWith(of), next)
}

func (c *counts) of(unit, service string) prometheus.Labels {
	image, version := "", ""
	if parts := c.images[unit]; len(parts) > 0 {
		image = parts[0]
		if len(parts) == 2 {
			version = parts[1]
		}
	}
	return prometheus.Labels{"service": service, "model_name": unit, "model_image": image, "model_version": version}
}

// called counts calls over gRPC, whose status comes behind their answer.
func (c *counts) called(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		begun := time.Now()
		next.ServeHTTP(answer, request)
		status := cmp.Or(answer.Header().Get("Grpc-Status"), answer.Header().Get(http.TrailerPrefix+"Grpc-Status"))
		of := prometheus.Labels{"service": request.URL.Path, "method": "unary", "code": word(status)}
		c.answers.observe(of, time.Since(begun))
	})
}

// asking counts the same calls as the executor makes them to a unit, which it knows as a model where a client knows a Seldon.
func (c *counts) asking(unit string, next http.RoundTripper) http.RoundTripper {
	return promhttp.RoundTripperFunc(func(request *http.Request) (*http.Response, error) {
		begun := time.Now()
		request = request.Clone(request.Context())
		request.URL.Path = strings.Replace(request.URL.Path, "/seldon.protos.Seldon/", "/seldon.protos.Model/", 1)
		count := func(code string) {
			of := c.of(unit, request.URL.Path)
			of["method"], of["code"] = "unary", code
			c.asks.observe(of, time.Since(begun))
		}
		answer, err := next.RoundTrip(request)
		if err != nil {
			count(word(""))
			return nil, err
		}
		answer.Body = &ended{answer.Body, sync.OnceFunc(func() {
			// Before an answer without a message it may come at once.
			count(word(cmp.Or(answer.Trailer.Get("Grpc-Status"), answer.Header.Get("Grpc-Status"))))
		})}
		return answer, nil
	})
}

// ended is an answer that says when it has been read.
type ended struct {
	io.ReadCloser
	then func()
}

func (e *ended) Close() error {
	err := e.ReadCloser.Close()
	e.then()
	return err
}

func (m measure) observe(of prometheus.Labels, took time.Duration) {
	m.histogram.With(of).Observe(took.Seconds())
	m.summary.With(of).Observe(took.Seconds())
}

// The words of gRPC's statuses, in their order.
var statuses = strings.Fields("OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied " +
	"ResourceExhausted FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable DataLoss Unauthenticated")

func word(status string) string {
	number, err := strconv.Atoi(status)
	if err != nil || number < 0 || number >= len(statuses) {
		// Whoever should have said it was not there.
		return "Unavailable"
	}
	return statuses[number]
}
