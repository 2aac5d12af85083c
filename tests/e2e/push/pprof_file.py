"""Just enough of a reader for pprof files: when the window was, the sums of the values, and samples with their frames and
labels."""
import collections
import gzip

Frame = collections.namedtuple("Frame", "function file line")
Sample = collections.namedtuple("Sample", "frames values labels")  # frames: leaf first, inlined ones too


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """(number, value) of each field; the value is an integer or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {key & 7}")
        yield key >> 3, value


def sample_values(sample):
    values = []
    for number, value in fields(sample):
        if number == 2 and isinstance(value, int):
            values.append(value)
        elif number == 2:
            at = 0
            while at < len(value):
                one, at = varint(value, at)
                values.append(one)
    return values


class Profile:
    def __init__(self, compressed):
        self.time_nanos = self.duration_nanos = 0
        self.sums = [0, 0]  # samples, CPU nanoseconds
        for number, value in fields(gzip.decompress(compressed)):
            if number == 9:
                self.time_nanos = value
            elif number == 10:
                self.duration_nanos = value
            elif number == 2:
                self.sums = [total + one for total, one in zip(self.sums, sample_values(value))]


def packed(value):
    """The integers of a repeated field, whether packed or not."""
    if isinstance(value, int):
        return [value]
    numbers, at = [], 0
    while at < len(value):
        one, at = varint(value, at)
        numbers.append(one)
    return numbers


def message(data):
    """The fields of a message: number to the list of its values."""
    found = collections.defaultdict(list)
    for number, value in fields(data):
        found[number].append(value)
    return found


def number(fields_of, which):
    return fields_of[which][0] if fields_of[which] else 0


def samples(compressed):
    """All samples of a profile. Labels that are texts only."""
    profile = message(gzip.decompress(compressed))
    texts = [bytes(text).decode() for text in profile[6]]
    functions = {number(entry, 1): (texts[number(entry, 2)], texts[number(entry, 4)]) for entry in map(message, profile[5])}
    locations = {}
    for entry in map(message, profile[4]):
        lines = map(message, entry[4])
        locations[number(entry, 1)] = [Frame(*functions[number(line, 1)], number(line, 2)) for line in lines]
    found = []
    for entry in map(message, profile[2]):
        frames = [frame for ids in entry[1] for one in packed(ids) for frame in locations[one]]
        labels = {texts[number(label, 1)]: texts[number(label, 2)] for label in map(message, entry[3])}
        found.append(Sample(frames, [one for value in entry[2] for one in packed(value)], labels))
    return found
