"""From a click in Vic.ai or Įvesk to a finished pipeline: webhooks, verified, stored, answered, acted on."""
