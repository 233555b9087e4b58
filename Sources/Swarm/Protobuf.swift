internal import Multiformats

/// A field of a protobuf message.
struct ProtobufField {
    enum Value {
        case varint(UInt64)
        case bytes(ArraySlice<UInt8>)
        /// A fixed 32-bit or 64-bit number, which this protocol does not use.
        case other
    }

    let number: UInt64
    let value: Value

    func integer() throws(SwarmMessageError) -> UInt64 {
        guard case .varint(let number) = value else { throw .malformed }
        return number
    }

    func bytes() throws(SwarmMessageError) -> ArraySlice<UInt8> {
        guard case .bytes(let bytes) = value else { throw .malformed }
        return bytes
    }
}

/// Reads the fields of a protobuf message, never beyond its end. Copies nothing.
struct ProtobufReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    /// The next field; `nil` at the end.
    mutating func next() throws(SwarmMessageError) -> ProtobufField? {
        guard !rest.isEmpty else { return nil }
        let tag = try varint()
        let number = tag >> 3
        guard number > 0 else { throw .malformed }
        switch tag & 7 {
        case 0: return ProtobufField(number: number, value: .varint(try varint()))
        case 1: return ProtobufField(number: number, value: try skip(8))
        case 2:
            let length = try varint()
            guard length <= UInt64(rest.count) else { throw .malformed }
            defer { rest = rest.dropFirst(Int(length)) }
            return ProtobufField(number: number, value: .bytes(rest.prefix(Int(length))))
        case 5: return ProtobufField(number: number, value: try skip(4))
        default: throw .malformed
        }
    }

    private mutating func varint() throws(SwarmMessageError) -> UInt64 {
        guard let (value, length) = try? Varint.decode(rest) else { throw .malformed }
        rest = rest.dropFirst(length)
        return value
    }

    private mutating func skip(_ count: Int) throws(SwarmMessageError) -> ProtobufField.Value {
        guard rest.count >= count else { throw .malformed }
        rest = rest.dropFirst(count)
        return .other
    }
}

/// Writes the fields of a protobuf message. Omits zeros and empty values, as proto3 does.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write(_ field: UInt64, _ number: UInt64) {
        guard number != 0 else { return }
        Varint.append(field << 3, to: &bytes)
        Varint.append(number, to: &bytes)
    }

    mutating func write(_ field: UInt64, _ value: [UInt8]) {
        guard !value.isEmpty else { return }
        Varint.append(field << 3 | 2, to: &bytes)
        Varint.append(UInt64(value.count), to: &bytes)
        bytes += value
    }
}
