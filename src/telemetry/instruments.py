"""The instruments behind `meters`. Imported only where something is exported."""

from opentelemetry.metrics import Counter, Histogram, Meter


class Instruments:
    """Names and units follow the GenAI semantic conventions where there is one."""

    def __init__(self, meter: Meter) -> None:
        self.runs: Counter = meter.create_counter("mandate.runs", "{run}", "Runs that ended, by state")
        self.run_seconds: Histogram = meter.create_histogram("mandate.run.duration", "s", "From opened to ended")
        self.decisions: Counter = meter.create_counter("mandate.decisions", "{decision}", "By lane and policy")
        self.approvals: Counter = meter.create_counter("mandate.approvals", "{approval}", "Asked for, and resolved")
        self.tokens: Histogram = meter.create_histogram("gen_ai.client.token.usage", "{token}", "By model and type")
        self.model_seconds: Histogram = meter.create_histogram("gen_ai.client.operation.duration", "s", "Model calls")
        self.cost: Counter = meter.create_counter("mandate.model.cost", "{micro}", "Millionths of the currency")
        self.tool_calls: Counter = meter.create_counter("mandate.tool.calls", "{call}", "By tool and outcome")
        self.tool_seconds: Histogram = meter.create_histogram("mandate.tool.duration", "s", "Tool calls")
        self.drift: Counter = meter.create_counter("mandate.marketplace.drift", "{subscription}", "By what differed")
        self.store_requests: Counter = meter.create_counter("mandate.store.requests", "{request}", "Sent to the store")
        self.store_bytes: Counter = meter.create_counter("mandate.store.bytes", "By", "To and from the store")
        self.store_charge: Counter = meter.create_counter("mandate.store.charge", "{request_unit}", "As the store says")
        self.configurations: Counter = meter.create_counter("mandate.configuration.reads", "{read}", "By outcome")
