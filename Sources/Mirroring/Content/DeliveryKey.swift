import OCI

/// A client, and some content that it gets.
package struct DeliveryKey: Hashable, Sendable {
    /// The address of the client, without the port.
    package var client: String
    package var digest: Digest

    package init(client: String, digest: Digest) {
        self.client = client
        self.digest = digest
    }
}
