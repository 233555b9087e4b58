import Mirroring
import Testing

struct NearnessTests {
    private static let ranks: [(String?, String?, Bool, Nearness)] = [
        ("a", "a", false, .sameZone), ("b", "a", true, .otherZone),
        (nil, "a", false, .unknown), (nil, "a", true, .sameNetwork),
        ("a", nil, false, .unknown), ("a", nil, true, .sameNetwork),
        (nil, nil, false, .unknown), (nil, nil, true, .sameNetwork),
    ]

    @Test(arguments: ranks)
    func zoneSaysMoreThanAnAddress(zone: String?, own: String?, isOnSameNetwork: Bool, expected: Nearness) {
        #expect(Nearness(zone: zone, own: own, isOnSameNetwork: isOnSameNetwork) == expected)
    }

    @Test func nearestComesFirst() {
        #expect(Nearness.allCases.sorted() == [.sameZone, .sameNetwork, .unknown, .otherZone])
    }
}
