"""Language models over HTTP: Anthropic's wire and OpenAI's. The only importers of the two SDKs, when configured."""
