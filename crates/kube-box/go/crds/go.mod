// Where the site's CRDs come from. Nothing is compiled: the modules carry them as YAML, go.sum pins them.
module seldon-model-site/crds

go 1.24.0

require (
	github.com/seldonio/seldon-core/operator v1.16.0
	istio.io/api v1.28.2
	sigs.k8s.io/gateway-api v1.2.0
)
