output "app_name" {
  description = "Name of the application."
  value       = juju_application.seldon_model.name
}

output "provides" {
  description = "Endpoints of the charm to integrate others with."
  value = {
    grafana_dashboard = "grafana-dashboard"
    metrics_endpoint  = "metrics-endpoint"
  }
}

output "requires" {
  description = "Endpoints of others to integrate the charm with."
  value = {
    gateway_info     = "gateway-info"
    gateway_metadata = "gateway-metadata"
    seldon_core      = "seldon-core"
    tracing          = "tracing"
  }
}
