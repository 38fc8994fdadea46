variable "app_name" {
  description = "Name of the application, and of its model unless the option models has others."
  type        = string
  default     = "seldon-model"
}

variable "base" {
  description = "Base that the charm is built for."
  type        = string
  default     = "ubuntu@22.04"
}

variable "channel" {
  description = "Channel of Charmhub to deploy from."
  type        = string
  default     = "latest/stable"
}

variable "config" {
  description = "Options of the charm, as in config.yaml. YAML maps are given as text, with yamlencode or file."
  type        = map(string)
  default     = {}
}

variable "constraints" {
  description = "Juju constraints for the unit, which runs the charm only. The models' pods have the options resources and pod."
  type        = string
  default     = null
}

variable "model_uuid" {
  description = "UUID of the Juju model."
  type        = string
  nullable    = false
}

variable "revision" {
  description = "Revision of the charm; the newest of the channel if null."
  type        = number
  default     = null
}

variable "trust" {
  description = "Whether the charm gets the rights of a cluster administrator. Without it, apply rbac.yaml."
  type        = bool
  default     = true
}

variable "units" {
  description = "Number of units. One serves all models; more take over when it is lost."
  type        = number
  default     = 1
}
