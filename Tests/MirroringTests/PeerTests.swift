import Mirroring
import Testing

struct PeerTests {
    @Test(arguments: [("192.0.2.1", "192.0.2.1:5000"), ("2001:db8::1", "[2001:db8::1]:5000")])
    func addressInTextHasBracketsWhereNeeded(ip: String, text: String) {
        #expect(PeerAddress(ip: ip, port: 5000).text == text)
    }
}
