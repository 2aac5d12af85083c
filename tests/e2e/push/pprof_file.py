"""Just enough of a reader for pprof files: when the window was, and the sums of the values."""
import gzip


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
