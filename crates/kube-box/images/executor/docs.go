package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// pages serves what one can read of a model's paths and try them from, where the executor of v1.17.1 does: a page, and the
// document that it shows (executor/api/rest/server.go). The executor's page is Swagger UI with Seldon's documents; this one
// names its document and no more, and the document has the paths that a page sends requests to.
func pages(routes *http.ServeMux, route func(method, pattern string, next http.Handler), options map[string]string) {
	page := func(folder, name, kind string, document []byte) {
		text := fmt.Sprintf("<!DOCTYPE html>\n<title>What this model takes</title>\n<p>It is in <a href=\"./%s\">%[1]s</a>.</p>\n", name)
		route("GET", folder+"{$}", always("text/html; charset=utf-8", []byte(text)))
		route("GET", folder+name, always(kind, document))
		// Not led to where the slash is, as Go would do by itself.
		routes.Handle(strings.TrimSuffix(folder, "/"), http.NotFoundHandler())
	}
	switch options["protocol"] {
	case "seldon":
		// The executor writes its namespace and its SeldonDeployment into them (executor/api/rest/utils.go).
		under := fmt.Sprintf("/seldon/%s/%s/api/v1.0/", options["namespace"], options["sdep"])
		document := describe("Seldon External API", under+"predictions", under+"feedback")
		for _, folder := range []string{"/api/v0.1/doc/", "/api/v1.0/doc/"} {
			page(folder, "seldon.json", "application/json", document)
		}
	case "tensorflow":
		// It has none.
	default:
		document := describe("Data Plane", "/v2/models/{model_name}/infer")
		page("/v2/docs/", "dataplane.yaml", "application/x-yaml", document)
	}
}

// describe makes a document of paths that take JSON and answer with it. There are no servers in it: requests go to the host
// that it came from.
func describe(title string, paths ...string) []byte {
	kind := map[string]any{"application/json": map[string]any{"schema": map[string]any{"type": "object"}}}
	all := map[string]any{}
	for _, path := range paths {
		call := map[string]any{
			"requestBody": map[string]any{"content": kind},
			"responses":   map[string]any{"200": map[string]any{"description": "The answer.", "content": kind}},
		}
		if name, has := strings.CutPrefix(path, "/v2/models/{"); has {
			name, _, _ = strings.Cut(name, "}")
			call["parameters"] = []any{map[string]any{
				"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"},
			}}
		}
		all[path] = map[string]any{"post": call}
	}
	// JSON is YAML too.
	document, _ := json.MarshalIndent(map[string]any{
		"openapi": "3.0.0", "info": map[string]any{"title": title, "version": "1"}, "paths": all,
	}, "", "    ")
	return document
}

func always(kind string, bytes []byte) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", kind)
		_, _ = answer.Write(bytes)
	})
}
