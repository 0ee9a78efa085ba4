"""The door for programs that speak OpenAI's API: to them an agent is a model. Same sign-in, limits, gate and log.

`prompts` is what they send, `outcome` what came of the run, `chat` and `responses` the two forms of saying so,
`streaming` says it while it happens.
"""
