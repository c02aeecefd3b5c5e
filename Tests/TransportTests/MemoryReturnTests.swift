import Testing

@testable import Transport

struct MemoryReturnTests {
  private static let mebibyte = 1 << 20

  private func decisions(_ samples: [(mebibytes: Int, load: Double)]) -> [Bool] {
    var memory = MemoryReturn()
    return samples.map { memory.isDue(resident: $0.mebibytes * Self.mebibyte, load: $0.load) }
  }

  @Test func `memory is given back once a flood is over, and not while it goes on`() {
    #expect(
      decisions([(20, 0), (200, 1.8), (200, 1.9), (200, 0.1), (200, 0.1)])
        == [false, false, false, false, true])
  }

  @Test func `a process that goes on working is quiet beside its flood`() {
    #expect(decisions([(20, 0.8), (200, 1.9), (200, 0.8), (200, 0.8)]) == [false, false, false, true])
    #expect(decisions([(20, 0.8), (200, 1.0), (200, 0.8), (200, 0.8)]) == [false, false, false, false])
  }

  @Test func `little is not worth a pause`() {
    #expect(decisions([(20, 0), (23, 0), (23, 0), (23, 0)]) == [false, false, false, false])
    #expect(decisions([(400, 0), (480, 0), (480, 0)]) == [false, false, false])
  }

  @Test func `what is known to be free is returned at once, when it is much`() {
    var memory = MemoryReturn()
    let resident = 40 * Self.mebibyte
    _ = memory.isDue(resident: 20 * Self.mebibyte, load: 0)
    memory.returned(resident)
    for _ in 0..<5 {
      let isDue = memory.isDue(resident: resident, load: 0)
      #expect(!isDue)
    }
    let isDue = [6, 6].map { mebibytes in
      memory.freed(mebibytes * Self.mebibyte)
      return memory.isDue(resident: resident, load: 0)
    }
    #expect(isDue == [false, true])
  }

  @Test func `what is freed and needed again, over and over, is no reason`() {
    var memory = MemoryReturn()
    let resident = 40 * Self.mebibyte
    _ = memory.isDue(resident: 20 * Self.mebibyte, load: 0)
    memory.returned(resident)
    for round in 0..<8 {
      memory.freed((round % 2 == 0 ? 6 : -6) * Self.mebibyte)
      let isDue = memory.isDue(resident: resident, load: 0)
      #expect(!isDue)
    }
  }

  @Test func `what stays after a return is needed, and is asked for again after a while, ever more rarely`() {
    var memory = MemoryReturn()
    let resident = 190 * Self.mebibyte
    _ = memory.isDue(resident: 20 * Self.mebibyte, load: 0)
    var due: [Int] = []
    for number in 0..<80 where memory.isDue(resident: resident, load: 0) {
      due.append(number)
      memory.returned(resident)
    }
    #expect(due == [0, 11, 32, 73])
  }
}
