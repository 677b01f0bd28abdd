"""A small sales report."""

SALES = [("north", 120), ("south", 80), ("west, inner", 95)]


def as_text(rows):
    return "\n".join(f"{region:<12}{amount:>6}" for region, amount in rows)


if __name__ == "__main__":
    print(as_text(SALES))
