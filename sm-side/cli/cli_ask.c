/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "notifier/base/cleanup.h"
#include "sm-side/json_read.h"

enum { ANSWER_MAX_BYTES = 64 << 20, CONNECT_S = 5, LONGEST_S = 120 };

struct answer_bytes {
	char *bytes;
	size_t length;
};

static size_t take(char *bytes, size_t one, size_t count, void *context)
{
	struct answer_bytes *answer = context;
	char *grown;

	if (answer->length + count > ANSWER_MAX_BYTES)
		return 0;
	grown = realloc(answer->bytes, answer->length + count + 1);
	if (!grown)
		return 0;
	memcpy(grown + answer->length, bytes, count);
	answer->bytes = grown;
	answer->length += count;
	return count;
}

static void say_unanswered(const char *api, long status, CURLcode code)
{
	if (status == CLI_NOT_ANSWERED) {
		fprintf(stderr, "tether: tether-smd at %s went away before it answered: %s\n", api,
		        curl_easy_strerror(code));
		return;
	}
	fprintf(stderr,
	        "tether: no answer from tether-smd at %s: %s\n"
	        "tether: is it running, and may you use its socket? (--api PATH or TETHER_API)\n",
	        api, curl_easy_strerror(code));
}

static CURLcode perform(CURL *curl, const char *api, const char *method, const char *path,
        const char *body, struct answer_bytes *answer)
{
	char url[512];

	snprintf(url, sizeof(url), "http://tether%s", path);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, api);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)LONGEST_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (!strcmp(method, "POST")) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, body);
	} else if (strcmp(method, "GET") != 0) {
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	}
	return curl_easy_perform(curl);
}

struct json_object *cli_ask(const char *api, const char *method, const char *path,
        struct json_object *body, long *status)
{
	CURL *curl = curl_easy_init();
	struct answer_bytes answer = {0};
	struct json_object *object = NULL;
	CURLcode code = CURLE_FAILED_INIT;

	*status = CLI_NOT_ANSWERED;
	if (curl)
		code = perform(curl, api, method, path,
		        body ? json_object_to_json_string(body) : "", &answer);
	if (code == CURLE_OK) {
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
		object = json_read_whole(answer.bytes ? answer.bytes : "", answer.length);
		if (!object)
			fprintf(stderr, "tether: the answer from %s is not tether-smd's\n", api);
	} else {
		*status = code == CURLE_COULDNT_CONNECT || code == CURLE_FAILED_INIT
		                  ? CLI_NOT_ASKED
		                  : CLI_NOT_ANSWERED;
		say_unanswered(api, *status, code);
	}
	free(answer.bytes);
	if (curl)
		curl_easy_cleanup(curl);
	return object;
}

void cli_say_refusal(struct json_object *answer)
{
	fprintf(stderr, "tether: %s: %s\n", cli_text(answer, "reason"), cli_text(answer, "text"));
}

int cli_refused(long status)
{
	return status == HTTP_BADREQUEST ? CLI_USAGE : CLI_FAILED;
}

void cli_print_json(struct json_object *answer)
{
	puts(json_object_to_json_string_ext(
	        answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

int cli_begun(
        const struct cli_options *options, struct json_object *answer, long status, uint64_t *id)
{
	int ended = options->no_wait ? CLI_DONE : -1;

	if (!answer)
		return status == CLI_NOT_ANSWERED ? CLI_UNKNOWN : CLI_FAILED;
	if (status != HTTP_ACCEPTED || json_read_number(answer, "id", UINT64_MAX, id)) {
		cli_say_refusal(answer);
		ended = cli_refused(status);
	}
	if (options->json && ended >= 0)
		cli_print_json(answer);
	else if (ended == CLI_DONE)
		printf("%" PRIu64 "\n", *id);
	json_object_put(answer);
	return ended;
}

const char *cli_text(struct json_object *from, const char *name)
{
	const char *text = json_read_string(from, name);

	return text ? text : "";
}

double cli_number(struct json_object *from, const char *name)
{
	uint64_t number;

	return json_read_number(from, name, UINT64_MAX, &number) ? 0 : (double)number;
}

struct json_object *cli_expect(
        const struct cli_options *options, const char *method, const char *path, long expected)
{
	long status;
	struct json_object *answer = cli_ask(options->api, method, path, NULL, &status);

	if (answer && status != expected) {
		cli_say_refusal(answer);
		json_object_put(answer);
		return NULL;
	}
	return answer;
}

struct json_object *cli_get(const struct cli_options *options, const char *path)
{
	return cli_expect(options, "GET", path, HTTP_OK);
}
