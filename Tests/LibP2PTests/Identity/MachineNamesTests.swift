import Foundation
import Testing

@testable import LibP2P

@Suite struct MachineNamesTests {
    private static let machineID = "0123456789abcdef0123456789abcdef"

    private func withRoot(_ body: (String) throws -> Void) throws {
        let root = NSTemporaryDirectory() + "machine-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        for folder in ["/etc", "/sys/class/dmi/id", "/proc/device-tree", "/data"] {
            try FileManager.default.createDirectory(atPath: root + folder, withIntermediateDirectories: true)
        }
        try body(root)
    }

    private func write(_ text: String, _ path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    /// The identity of a process that ends at once.
    private func load(
        _ file: IdentityFile,
        _ machine: MachineNames
    ) throws -> (keyPair: KeyPair, origin: NodeIdentity.Origin) {
        let identity = try file.loadOrCreate(on: machine)
        return (identity.keyPair, identity.origin)
    }

    @Test func readsNamesOfMachine() throws {
        try withRoot { root in
            #expect(MachineNames(node: nil, root: root).names.isEmpty)
            try write(Self.machineID + "\n", root + "/etc/machine-id")
            try write("4C4C4544-0042\n", root + "/sys/class/dmi/id/product_uuid")
            try write("1000 0001\0", root + "/proc/device-tree/serial-number")
            let names = MachineNames(node: nil, root: root)
            #expect(
                names.names == [.machineID: Self.machineID, .product: "4c4c4544-0042", .serialNumber: "10000001"]
            )
            #expect(MachineNames(text: names.text) == names)
            // A pod has the machine-id of its image.
            #expect(MachineNames(node: "worker-1", root: root).names[.machineID] == nil)
            #expect(MachineNames(node: "worker-1", root: root).names[.node] == "worker-1")
        }
    }

    @Test(arguments: [
        "", "\n", "uninitialized\n", "00000000-0000-0000", "ffffffff", String(repeating: "ab", count: 200),
    ])
    func ignoresNamesThatNameNothing(text: String) throws {
        try withRoot { root in
            try write(text, root + "/etc/machine-id")
            #expect(MachineNames(node: nil, root: root).names.isEmpty)
        }
    }

    @Test func differsOnlyByNamesThatBothHave() {
        let one = MachineNames(text: "node one\nproduct-uuid a1\n")
        #expect(one.difference(from: MachineNames()) == nil)
        #expect(one.difference(from: MachineNames(text: "machine-id b2\nproduct-uuid a1\n")) == nil)
        #expect(one.difference(from: MachineNames(text: "machine-id b2\nproduct-uuid a2\n")) == .product)
        #expect(one.difference(from: MachineNames(text: "node two\nproduct-uuid a1\n")) == .node)
        #expect(MachineNames(text: "nonsense\nnode\nother x\n").names.isEmpty)
    }

    @Test func copiedFolderGetsNewIdentity() throws {
        try withRoot { root in
            let file = IdentityFile(dataDirectory: root + "/data")
            let (one, two) = (MachineNames(text: "node one\n"), MachineNames(text: "node two\n"))
            let first = try load(file, one).keyPair
            let again = try load(file, one)
            #expect(again.keyPair.peerID == first.peerID && again.origin == .folder)
            let copy = try load(file, two)
            #expect(copy.keyPair.peerID != first.peerID)
            #expect(copy.origin == .replaced(kept: file.otherKeyPath, kind: .node))
            #expect(try KeyPair(pem: String(contentsOfFile: file.otherKeyPath, encoding: .utf8)).peerID == first.peerID)
            let restarted = try load(file, two)
            #expect(restarted.keyPair.peerID == copy.keyPair.peerID && restarted.origin == .folder)
        }
    }

    @Test func folderOfEarlierVersionKeepsItsIdentity() throws {
        try withRoot { root in
            let file = IdentityFile(dataDirectory: root + "/data")
            let first = try file.loadOrCreate()
            let named = try load(file, MachineNames(text: "node one\n"))
            #expect(named.keyPair.peerID == first.peerID && named.origin == .folder)
            #expect(try load(file, MachineNames(text: "node two\n")).keyPair.peerID != first.peerID)
        }
    }

    @Test func anInterruptedReplacementIsCompleted() throws {
        try withRoot { root in
            let file = IdentityFile(dataDirectory: root + "/data")
            let (one, two) = (MachineNames(text: "node one\n"), MachineNames(text: "node two\n"))
            let first = try load(file, one).keyPair
            // The process ended after the old key was put aside.
            try FileManager.default.moveItem(atPath: file.path, toPath: file.otherKeyPath)
            let second = try load(file, two).keyPair
            #expect(second.peerID != first.peerID)
            #expect(try load(file, two).keyPair.peerID == second.peerID)
        }
    }

    @Test func secondProcessGetsTemporaryIdentity() throws {
        try withRoot { root in
            let file = IdentityFile(dataDirectory: root + "/data")
            let machine = MachineNames(text: "node one\n")
            let first = try file.loadOrCreate(on: machine)
            let second = try file.loadOrCreate(on: machine)
            #expect(second.origin == .temporaryBesideProcess && second.keyPair.peerID != first.keyPair.peerID)
            #expect(try file.load()?.peerID == first.keyPair.peerID)
            withExtendedLifetime(first) {}
        }
    }
}
