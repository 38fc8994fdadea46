package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// The paths as the source of v1.17.1 has them: executor/api/rest/server.go and utils.go, openapi/v2/dataplane.yaml.
func TestThePagesAreWhereTheExecutorHasThemAndSendRequestsWhereItsOwnDo(t *testing.T) {
	for _, want := range []struct{ protocol, folder, document, calls string }{
		{"seldon", "/api/v1.0/doc/", "seldon.json", "/seldon/edge/iris/api/v1.0/predictions"},
		{"seldon", "/api/v0.1/doc/", "seldon.json", "/seldon/edge/iris/api/v1.0/feedback"},
		{"v2", "/v2/docs/", "dataplane.yaml", "/v2/models/{model_name}/infer"},
	} {
		routes := http.NewServeMux()
		pages(func(method, pattern string, next http.Handler) { routes.Handle(method+" "+pattern, next) },
			map[string]string{"protocol": want.protocol, "namespace": "edge", "sdep": "iris"})
		get := func(path string) string {
			answer := httptest.NewRecorder()
			routes.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
			if answer.Code != http.StatusOK {
				t.Errorf("%s: %d", path, answer.Code)
			}
			return answer.Body.String()
		}
		if page := get(want.folder); !strings.Contains(page, want.document) {
			t.Errorf("%s does not name %s: %s", want.folder, want.document, page)
		}
		var document struct{ Paths, Servers map[string]any }
		if err := json.Unmarshal([]byte(get(want.folder+want.document)), &document); err != nil {
			t.Error(err)
		}
		if document.Servers != nil || !slices.Contains(slices.Collect(maps.Keys(document.Paths)), want.calls) {
			t.Errorf("%s is not in %v, or sent elsewhere by %v", want.calls, document.Paths, document.Servers)
		}
	}
}
