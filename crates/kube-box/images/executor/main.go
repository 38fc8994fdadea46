// A stand-in for Seldon Core's executor, the container that stands before a model in each of its pods. It leads the
// executor's paths to the model's, through graphs of several nodes with protocol seldon (graph.go), writes payload logs
// (logger.go), answers probes and counts requests under the executor's names. It takes gRPC to graphs of one node only,
// and knows no graphs of several nodes with other protocols, no Kafka and no traces. What it does is held to what the real
// one of v1.17.1 was seen to do, in recorded.json and graphs.json.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/signal"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The header that names a request, from the client to the model and back.
const puidHeader = "Seldon-Puid"

// How long requests may take that are under way when the pod ends.
const farewell = 10 * time.Second

// predictor is what the operator says in ENGINE_PREDICTOR, as far as it is needed here.
type predictor struct {
	Name           string            `json:"name"`
	Annotations    map[string]string `json:"annotations"`
	Graph          unit              `json:"graph"`
	ComponentSpecs []struct {
		Spec struct {
			Containers []struct {
				Name  string `json:"name"`
				Image string `json:"image"`
			} `json:"containers"`
		} `json:"spec"`
	} `json:"componentSpecs"`
}

func main() {
	options := read(os.Args[1:])
	served, err := decode(os.Getenv("ENGINE_PREDICTOR"))
	if err != nil {
		log.Fatalf("ENGINE_PREDICTOR: %v", err)
	}
	if len(served.Graph.Children) > 0 && options["protocol"] != "seldon" {
		log.Fatal("this stand-in serves graphs of several nodes with protocol seldon only; " +
			"give the site a real executor: SELDON_EXECUTOR=<path>")
	}
	counts := newCounts(options["sdep"], served)
	web := &http.Server{Addr: ":" + options["http_port"], Handler: handler(options, served, counts)}
	calls := &http.Server{
		Addr:      ":" + options["grpc_port"],
		Handler:   calling(&served.Graph, counts),
		Protocols: unencrypted(),
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	for _, server := range []*http.Server{web, calls} {
		go func() {
			if err := server.ListenAndServe(); err != http.ErrServerClosed {
				log.Fatal(err)
			}
		}()
	}
	<-ended
	patience, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	_ = web.Shutdown(patience)
	_ = calls.Shutdown(patience)
}

// read takes the operator's flags, known or not, in both of the forms it uses.
func read(arguments []string) map[string]string {
	options := map[string]string{
		"http_port": "8000", "grpc_port": "5001", "protocol": "seldon", "prometheus_path": "/metrics",
		"logger_workers": "10", "log_work_buffer_size": "10000", "log_write_timeout_ms": "2000",
	}
	name := ""
	for _, word := range arguments {
		if flag, is := strings.CutPrefix(word, "--"); is {
			var value string
			name, value, is = strings.Cut(flag, "=")
			if is {
				options[name] = value
			}
		} else if name != "" {
			options[name] = word
		}
	}
	return options
}

func decode(text string) (*predictor, error) {
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	served := new(predictor)
	return served, json.Unmarshal(plain, served)
}

// through hands requests on to the model.
func through(host string, port int, transport http.RoundTripper) http.Handler {
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(request *httputil.ProxyRequest) {
			request.Out.URL.Scheme = "http"
			request.Out.URL.Host = address(host, port)
		},
		// Each part of a stream as it comes.
		FlushInterval: -1,
		// The executor hands a failure's text on, but not what kind of text it is.
		ModifyResponse: func(answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				answer.Header.Set("Content-Type", "text/plain; charset=utf-8")
			}
			return nil
		},
		ErrorHandler: func(answer http.ResponseWriter, _ *http.Request, err error) {
			answer.Header().Set("Content-Type", "text/plain; charset=utf-8")
			answer.WriteHeader(http.StatusInternalServerError)
			_ = json.NewEncoder(answer).Encode(map[string]any{
				"status": map[string]any{"code": 500, "info": err.Error(), "status": "FAILURE"},
			})
		},
	}
}

// unencrypted is how gRPC goes, without TLS as in Seldon's pods.
func unencrypted() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}

// calling hands gRPC on to a graph's only node, as it is.
func calling(root *unit, counts *counts) http.Handler {
	if len(root.Children) == 0 {
		transport := counts.asking(root.Name, &http.Transport{Protocols: unencrypted()})
		return counts.called(through(root.Endpoint.Host, root.Endpoint.GRPCPort, transport))
	}
	return counts.called(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "application/grpc")
		answer.Header().Set("Grpc-Status", "12")
		answer.Header().Set("Grpc-Message", "this stand-in takes no gRPC to a graph of several nodes")
	}))
}

func address(host string, port int) string {
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func handler(options map[string]string, served *predictor, counts *counts) http.Handler {
	count := counts.answered
	model := through(served.Graph.Endpoint.Host, served.Graph.Endpoint.HTTPPort, http.DefaultTransport)
	whole := newGraph(&served.Graph, counts.asked, newLogger(options))
	predict := func(path string) http.Handler { return whole.serve(path, (*walk).predict) }
	ready := func(answer http.ResponseWriter, _ *http.Request) {
		for _, unit := range served.Graph.all() {
			// Seldon's own A/B test is in no container.
			if unit.Endpoint.Host == "" || unit.Endpoint.Port == 0 {
				continue
			}
			connection, err := net.DialTimeout("tcp", address(unit.Endpoint.Host, unit.Endpoint.Port), time.Second)
			if err != nil {
				answer.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_ = connection.Close()
		}
	}
	routes := http.NewServeMux()
	// A path that is known answers every method: browsers ask with OPTIONS first what they may do.
	route := func(method, pattern string, next http.Handler) {
		routes.HandleFunc(pattern, func(answer http.ResponseWriter, request *http.Request) {
			if request.Method != method && request.Method != http.MethodOptions {
				answer.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			if request.Header.Get(puidHeader) == "" {
				request.Header.Set(puidHeader, strings.ToLower(rand.Text()))
			}
			answer.Header().Set(puidHeader, request.Header.Get(puidHeader))
			answer.Header().Set("Access-Control-Allow-Origin", "*")
			if request.Method == method {
				next.ServeHTTP(answer, request)
			}
		})
	}
	route("GET", "/ready", http.HandlerFunc(ready))
	route("GET", "/live", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	route("GET", options["prometheus_path"], promhttp.HandlerFor(counts.registry, promhttp.HandlerOpts{}))
	pages(routes, route, options)
	switch options["protocol"] {
	case "seldon":
		for _, version := range []string{"v0.1", "v1.0"} {
			route("POST", "/api/"+version+"/predictions", count("predictions", predict("/predict")))
			route("POST", "/api/"+version+"/feedback", count("feedback", whole.serve("", (*walk).feedback)))
		}
		route("GET", "/api/v1.0/health/status", count("status", http.HandlerFunc(ready)))
	case "tensorflow":
		route("POST", "/v1/models/{model}/:predict", count("predictions",
			http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
				predict("/v1/models/"+request.PathValue("model")+":predict").ServeHTTP(answer, request)
			})))
		route("GET", "/v1/models/{model}/metadata", count("metadata", model))
		// The method tells the two apart: a model's name may not hold a colon.
		route("GET", "/v1/models/{model}", count("status", model))
		route("POST", "POST /v1/models/{model}", count("predictions", predict("")))
	default:
		route("POST", "/v2/models/{model}/infer", count("predictions", predict("")))
		route("POST", "/v2/models/infer", count("predictions", predict("/v2/models/"+served.Graph.Name+"/infer")))
		route("GET", "/v2/models/{model}/ready", count("status", model))
		route("GET", "/v2/models/{model}", count("metadata", model))
		route("GET", "/v2/health/ready", count("status", http.HandlerFunc(ready)))
	}
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		// A path that is not clean is led to the clean one: without the prefix that the gateway took off.
		if clean := path.Clean(request.URL.Path); clean != strings.TrimSuffix(request.URL.Path, "/") && clean != "/" {
			answer.Header().Set("Location", clean)
			answer.WriteHeader(http.StatusMovedPermanently)
			return
		}
		routes.ServeHTTP(answer, request)
	})
}
