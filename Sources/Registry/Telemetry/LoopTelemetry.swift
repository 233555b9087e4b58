import OCI

/// The ``Telemetry`` of one event loop, with the series that its requests have counted in, found there without a lock.
final class LoopTelemetry {
    private let telemetry: Telemetry
    private var responses: [ResponseSeries.Key: ResponseSeries] = [:]
    private var registries: [String: RegistrySeries] = [:]

    init(_ telemetry: Telemetry) {
        self.telemetry = telemetry
    }

    /// Notes what has happened.
    func record(_ event: TelemetryEvent) { telemetry.record(event) }

    /// The series of some answers.
    func responses(_ key: ResponseSeries.Key) -> ResponseSeries {
        if let known = responses[key] { return known }
        let new = telemetry.metrics.responses(key)
        responses[key] = new
        return new
    }

    /// The series of a registry.
    func registry(_ name: RegistryName?) -> RegistrySeries {
        if let name, let known = registries[name.text] { return known }
        let label = telemetry.metrics.labels.label(name)
        let new = telemetry.metrics.registry(label: label)
        // What counts as another registry now may get a label of its own later.
        if label != RegistryLabels.other { registries[label] = new }
        return new
    }
}
