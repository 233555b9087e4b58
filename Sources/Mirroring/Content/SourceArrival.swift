/// Bytes of content that came from its source registry.
package struct SourceArrival: Hashable, Sendable {
    /// The registry, as metrics name it.
    package var registry: String
    package var bytes: Int64

    package init(registry: String, bytes: Int64) {
        self.registry = registry
        self.bytes = bytes
    }
}
