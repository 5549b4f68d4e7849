"""OpenTelemetry spans as rows: what an OTLP exporter sends, whichever conventions its spans follow."""
