"""Sampling through an OpenAI-compatible server: vLLM, SGLang, transformers' own."""
