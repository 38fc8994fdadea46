resource "juju_application" "seldon_model" {
  name       = var.app_name
  model_uuid = var.model_uuid
  trust      = var.trust

  charm {
    name     = "seldon-model"
    channel  = var.channel
    revision = var.revision
    base     = var.base
  }

  config      = var.config
  constraints = var.constraints
  units       = var.units
}
