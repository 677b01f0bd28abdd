import unittest

import report


class TextReport(unittest.TestCase):
    def test_one_line_a_region(self):
        self.assertEqual(len(report.as_text(report.SALES).splitlines()), 3)


if __name__ == "__main__":
    unittest.main()
