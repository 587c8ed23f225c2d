"""The questions that `char_count` and `token_type` ask, in 22 wordings each; no other task asks one.

All were written for this project. A question comes before or after its text, so none says "above" or "below". Each
says exactly what to count, so that it has one answer.
"""

from typing import Final

CHARACTERS: Final = (
    "How many characters does this text have, spaces included?",
    "Count every character of the text, the spaces too.",
    "Give the length of the passage in characters, counting spaces.",
    "What is the number of characters in this passage, with its spaces?",
    "State how long the text is in characters. A space is a character.",
    "Work out the character count of the passage, blanks and all.",
    "Letters, marks and spaces together: how many characters are there in the text?",
    "Tell me the total number of characters in this text, including spaces.",
    "Find the number of characters of which the passage consists, spaces among them.",
    "If each letter, sign and space counts as one, what does the text add up to?",
    "Measure this passage: how many characters, spaces counted?",
    "Report the size of the text as a number of characters. Do not leave out the spaces.",
    "Calculate how many characters the text takes up, whitespace included.",
    "How long is this text, measured in characters with spaces?",
    "Put a number on the characters of this passage. Spaces count.",
    "Going from the first character to the last, spaces as well, how many does the text hold?",
    "The text is made of how many characters, if no space is skipped?",
    "Provide the count of all characters in the passage; include each space.",
    "Determine the character length of this text with spaces.",
    "How many characters would you type, space bar included, to write out this passage?",
    "Name the number of characters, spaces not excepted, that make up the text.",
    "What total do you reach when you count the characters of the passage one by one, spaces too?",
)
"""Questions for the number of characters, including spaces."""

CONTENT_WORDS: Final = (
    "How many content words are there in this text?",
    "Count the content words of the passage, leaving the stop words out.",
    "Leave aside the stop words. How many words are left in the text?",
    "Give the number of words in this passage that are not stop words.",
    "What is the number of content words in the text?",
    "Work out how many content words the passage uses.",
    "Of all the words in this text, how many are content words?",
    "State how many words of the passage carry content, stop words excluded.",
    "Tell me the total of content words in this text.",
    "Find the number of words in the text once every stop word has been taken away.",
    "Count each word that is no stop word. What is the total for this passage?",
    "Report how many content words this passage has.",
    "If all stop words were struck out, how many words would the text keep?",
    "The text contains how many content words?",
    "Determine the count of content words, as opposed to stop words, in this passage.",
    "How often does this text use a word that is not a stop word?",
    "Provide the number of content words found in the passage.",
    "Without its stop words, this passage has how many words?",
    "Calculate the number of content words in this text.",
    "Put a number on the content words of this text.",
    "How many words in the passage have content and are not mere stop words?",
    "Name the number of content words that occur in the text, repeats included.",
)
"""Questions for the number of content words, which are the words that are not stop words."""

STOP_WORDS: Final = (
    "How many stop words are there in this text?",
    "Count the stop words of the passage.",
    "Give the number of stop words in this passage, repeats included.",
    "What is the number of stop words in the text?",
    "Work out how many stop words the passage uses.",
    "Of all the words in this text, how many are stop words?",
    'State how many words of the passage are stop words such as "the" or "of".',
    "Tell me the total of stop words in this text.",
    "Leave aside the content words. How many stop words are left in the text?",
    "Count each word that is a stop word. What is the total for this passage?",
    "Report how many stop words this passage has.",
    "If you struck out all stop words of the text, how many would you strike out?",
    "The text contains how many stop words?",
    "Determine the count of stop words, as opposed to content words, in this passage.",
    "How often does this text use a stop word?",
    "Provide the number of stop words found in the passage.",
    'Words like "and", "to" and "it" are stop words. How many does this passage have?',
    "Calculate the number of stop words in this text.",
    "Put a number on the stop words of this text.",
    "How many words in the passage are mere stop words?",
    "Name the number of stop words that occur in the text.",
    "Find how many times a stop word appears in this passage.",
)
"""Questions for the number of stop words."""

DIGITS: Final = (
    "How many digits are there in this text?",
    "Count the digits of the passage one by one.",
    "Give the number of digit characters in this passage.",
    "What is the number of digits in the text?",
    "Work out how many digit characters the passage holds.",
    "Of all the characters in this text, how many are digits?",
    "State how many characters of the passage are digits.",
    "Tell me the total of digits in this text; a number of three digits counts three.",
    "Count every digit by itself. What is the total for this passage?",
    "Report how many digit characters this passage has.",
    "If you struck out all digits of the text, how many characters would you strike out?",
    "The text contains how many digits?",
    "Determine the count of digit characters in this passage.",
    "How often does a digit appear in this text?",
    "Provide the number of digits found in the passage, or 0 if it has none.",
    "Look at single characters, not at whole numbers: how many digits does the text have?",
    "Calculate the number of digit characters in this text.",
    "Put a number on the digits of this text.",
    "How many times is a digit written in the passage?",
    "Name the number of digit characters that occur in the text.",
    "Find how many of the passage's characters are digits.",
    "Is any digit used in this text? Answer with how many there are.",
)
"""Questions for the number of digits."""

PUNCTUATION: Final = (
    "How many ASCII punctuation characters are there in this text?",
    "Count the punctuation marks of the passage, the ASCII ones only.",
    "Give the number of ASCII punctuation characters in this passage.",
    "What is the number of punctuation characters in the text, by the ASCII set?",
    "Work out how many ASCII punctuation marks the passage uses.",
    "Of all the characters in this text, how many are ASCII punctuation?",
    "State how many characters of the passage are punctuation in ASCII.",
    "Tell me the total of ASCII punctuation characters in this text.",
    "Count every comma, full stop and other ASCII punctuation character. What is the total for this passage?",
    "Report how many punctuation characters this passage has, going by ASCII.",
    "If you struck out all ASCII punctuation of the text, how many characters would you strike out?",
    "The text contains how many punctuation marks of the ASCII set?",
    "Determine the count of ASCII punctuation characters in this passage.",
    "How often does an ASCII punctuation character appear in this text?",
    "Provide the number of ASCII punctuation marks found in the passage.",
    "Leave aside letters, digits, spaces and whatever is not ASCII. How many punctuation marks are left?",
    "Calculate the number of punctuation characters from the ASCII set in this text.",
    "Put a number on the ASCII punctuation of this text.",
    "How many times is an ASCII punctuation mark written in the passage?",
    "Name the number of punctuation characters, ASCII ones, that occur in the text.",
    "Find how many of the passage's characters are ASCII punctuation marks.",
    "Add up the punctuation in this text: how many ASCII punctuation characters does it have?",
)
"""Questions for the number of ASCII punctuation characters."""
