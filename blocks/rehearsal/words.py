"""The rehearsal world's content words: few, short and shared by all domains, so that a small tokenizer and a small
model hold them."""

NAMES = ("Ann", "Ben", "Cal", "Dan", "Eve", "Fay", "Gus", "Ida")
THINGS = ("cup", "hat", "pen", "bag", "key", "map", "box", "cat", "dog", "hen")
GOODS = ("corn", "rice", "milk", "salt", "sand", "tea")
CITIES = ("Rome", "Oslo", "Lima", "Cairo", "Paris", "Delhi")
COLORS = ("red", "blue", "pink", "black", "white", "green")
ANIMALS = ("ant", "cat", "dog", "hen", "pig", "cow")
DAYS = ("today", "tonight", "Sunday", "Monday", "Friday", "Tuesday")
OPPOSITES = {"hot": "cold", "big": "small", "old": "new", "wet": "dry", "fast": "slow", "high": "low"}
OPPOSITE = OPPOSITES | {right: left for left, right in OPPOSITES.items()}
KINDS = {"animal": ANIMALS, "food": GOODS[:3], "color": COLORS, "city": CITIES}
KIND = {word: kind for kind, words in KINDS.items() for word in words}
